// Colours of weights and values: what is read best on them, and the scale with zero in its middle.

import { given } from "./given.js";

// The colour of each of so many weights of one kernel, as the engine names them.
export function weightColors(count) {
  const { few, many } = given.colors;
  return (count <= few.length ? few : many).slice(0, count);
}

function channelLight(value) {
  const part = value / 255;
  return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
}

// Black or white, whichever contrasts more (WCAG 2.2); one of the two always reaches 4.5.
export function inkOn(color) {
  const [red, green, blue] = bytesOf(color).map(channelLight);
  const light = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return (light + 0.05) ** 2 > 0.05 * 1.05 ? "#000000" : "#ffffff";
}

// A cell that several weights meet: the first's colour, and a band at its foot in all of them.
export function stripes(colors) {
  if (colors.length === 1) return colors[0];
  const share = 100 / colors.length;
  const stops = colors.map((color, at) => `${color} ${at * share}% ${(at + 1) * share}%`);
  return `linear-gradient(90deg, ${stops.join(", ")}) bottom / 100% 35% no-repeat ${colors[0]}`;
}

export function bytesOf(color) {
  return [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16));
}

// Each value's share of the largest magnitude there is: from -1 over 0 to 1.
export function signedShares(values) {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return (value) => (most > 0 ? value / most : 0);
}

// Red below zero, paper at zero, blue above: [red, green, blue] of a share from -1 to 1.
export function diverging(share) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const paper = dark ? [34, 37, 42] : [255, 255, 255];
  const end = share < 0 ? (dark ? [255, 122, 96] : [178, 24, 43]) : dark ? [110, 175, 255] : [33, 80, 172];
  const part = Math.min(1, Math.abs(share));
  return paper.map((from, at) => Math.round(from + (end[at] - from) * part));
}
