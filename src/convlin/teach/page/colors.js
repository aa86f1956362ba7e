// What is read best on a tap's colour, and the greys of a map too large for numbers.

function channelLight(value) {
  const part = value / 255;
  return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
}

// Black or white, whichever contrasts more (WCAG 2.2); one of the two always reaches 4.5.
export function inkOn(color) {
  const [red, green, blue] = [1, 3, 5].map((at) =>
    channelLight(parseInt(color.slice(at, at + 2), 16)),
  );
  const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return (light + 0.05) ** 2 > 0.05 * 1.05 ? "#000000" : "#ffffff";
}

// A cell that several taps read: the first's colour, and a band at its foot striped in all of them.
export function stripes(colors) {
  if (colors.length === 1) return colors[0];
  const share = 100 / colors.length;
  const stops = colors.map((color, at) => `${color} ${at * share}% ${(at + 1) * share}%`);
  return `linear-gradient(90deg, ${stops.join(", ")}) bottom / 100% 35% no-repeat ${colors[0]}`;
}

export function bytesOf(color) {
  return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
}

// The share of the way from the smallest to the largest of the values.
export function shades(values) {
  let low = Infinity;
  let high = -Infinity;
  for (const value of values) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  return (value) => (high > low ? (value - low) / (high - low) : 0);
}
