// Values as colours: one scale for all maps, red below zero, paper at zero, blue above.

import { diverging, signedShares } from "../colors.js";

// How strongly each cell is tinted, and to which side: from -1 to 1.
export function tints(values) {
  const share = signedShares(values);
  return (at) => share(values[at]);
}

// A painter of one panel's canvas, a pixel a cell.
export function shaded({ shape: [, rows, columns], values }) {
  const share = signedShares(values);
  return (context, panel) => {
    const pixels = context.createImageData(columns, rows);
    for (let at = 0; at < rows * columns; at++) {
      const color = diverging(share(values[panel * rows * columns + at]));
      pixels.data.set([...color, 255], 4 * at);
    }
    context.putImageData(pixels, 0, 0);
  };
}
