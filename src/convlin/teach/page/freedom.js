// What is free of weights once outputs are fixed: unknowns minus rank, in whole numbers.

import { SCALE } from "./decimals.js";

const MOST_RANKED = 25; // taps of a kernel whose windows are ranked here: beyond, numbers grow long
const WINDOWS = 400;

// The pixels to light alone, one after the other, behind an image: all but its last lit one, whose
// weight the image and those before it tell.
export function imagesThatCount(values) {
  const last = values.findLastIndex((value) => value !== 0);
  return [...values.keys()].filter((at) => at !== last);
}

// What is free of one neuron after the image and so many of those.
export function freedomByImages(values, more) {
  const lit = values.some((value) => value !== 0) ? 1 : 0;
  return values.length - lit - more;
}

// What is free of the shared weights after each window, in reading order; null for large kernels.
export function freedomByWindows({ reads, input, kernel, output }) {
  const [channels] = input.shape;
  const taps = reads.taps;
  const windows = output.shape[1] * output.shape[2];
  if (channels > 1 || kernel.shape[0] > 1 || taps > MOST_RANKED || windows > WINDOWS) return null;
  const pivots = new Map(); // by its last unknown, an equation that no other of them holds
  const free = [];
  for (let position = 0; position < windows; position++) {
    let row = new Array(taps).fill(0n);
    for (let at = reads.starts[position]; at < reads.starts[position + 1]; at++)
      row[reads.tap[at]] = BigInt(Math.round(input.values[reads.pixel[at]] * SCALE));
    while (pivots.size < taps) {
      const last = row.findLastIndex((value) => value !== 0n);
      if (last < 0) break;
      const pivot = pivots.get(last);
      if (!pivot) {
        pivots.set(last, row);
        break;
      }
      row = shortened(row.map((value, at) => value * pivot[last] - pivot[at] * row[last]));
    }
    free.push(taps - pivots.size);
  }
  return free;
}

// An equation divided by what its numbers have in common: else they get twice as long at each step.
function shortened(row) {
  const common = row.reduce(divisor, 0n);
  return common > 1n ? row.map((value) => value / common) : row;
}

function divisor(one, other) {
  while (other) [one, other] = [other, one % other];
  return one < 0n ? -one : one;
}
