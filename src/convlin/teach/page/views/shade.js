// Values as greys: a soft tint behind numbers, or pixels where there are too many for numbers.

import { shades } from "../colors.js";

// How strongly each cell is tinted, 0 to 1.
export function tints(values) {
  const most = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  return (at) => (most > 0 ? Math.abs(values[at]) / most : 0);
}

// A painter of one panel's canvas, a pixel a cell, from the page's background to its ink.
export function greys({ shape: [, rows, columns], values }) {
  const share = shades(values);
  return (context, panel) => {
    const dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const pixels = context.createImageData(columns, rows);
    for (let at = 0; at < rows * columns; at++) {
      const part = share(values[panel * rows * columns + at]);
      pixels.data.fill(dark ? 40 + 190 * part : 245 - 190 * part, 4 * at, 4 * at + 3);
      pixels.data[4 * at + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
  };
}
