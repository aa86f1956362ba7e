// What lights up: look-ups in the pairs (pixel, tap) that the engine says each output reads.
//
// A thing pointed at is {kind, at} with a flat index, or {kind: "entry", row, column}. Taps are
// named as PyTorch stores them in the kernel tensor. Links count from 0, sentences from 1.

import { say } from "./words.js";

export class Places {
  constructor(scene) {
    this.scene = scene;
    this.input = scene.input.shape;
    this.output = scene.output.shape;
    this.kernel = scene.kernel.shape;
    this.taps = scene.reads.taps;
    this.pixels = this.input[1] * this.input[2];
    this.positions = this.output[1] * this.output[2];
    this.owner = []; // of each slice of the kernel tensor: [output channel, input channel]
    scene.channels.weight.forEach((row, o) => {
      row.forEach((slice, i) => {
        if (slice >= 0) this.owner[slice] = [o, i];
      });
    });
  }

  shapeOf(kind) {
    return { input: this.input, output: this.output, tap: this.kernel }[kind];
  }

  // The coordinates of a flat index, as links write them: of a tap, the channels that it joins,
  // whatever the kernel tensor's order.
  coordinates(kind, at) {
    if (kind === "tap") {
      const [row, column] = unravel(at % this.taps, this.kernel.slice(2));
      return [...this.owner[Math.floor(at / this.taps)], row, column];
    }
    return unravel(at, this.shapeOf(kind));
  }

  // Where a flat index is, in words: "row 1, column 2", with its channels where there are several.
  said(kind, at) {
    const [row, column] = this.coordinates(kind, at).slice(-2).map((n) => n + 1);
    if (kind === "tap") {
      if (this.owner.length === 1) return say("views.place", { row, column });
      const [output, input] = this.owner[Math.floor(at / this.taps)];
      const both = { in: String(input + 1), out: String(output + 1) };
      return say("views.tap_channel", { ...both, row, column });
    }
    const shape = this.shapeOf(kind);
    if (shape[0] === 1) return say("views.place", { row, column });
    return say("views.place_channel", { channel: this.coordinates(kind, at)[0] + 1, row, column });
  }

  // "output:0,1,2", as the engine writes it in links.
  name(thing) {
    if (thing.kind === "entry") return `entry:${thing.row},${thing.column}`;
    return `${thing.kind}:${this.coordinates(thing.kind, thing.at).join(",")}`;
  }

  thing(name) {
    const [kind, list] = name.split(":");
    const numbers = list.split(",").map(Number);
    if (kind === "entry") return { kind, row: numbers[0], column: numbers[1] };
    if (kind === "tap") {
      const [o, i, row, column] = numbers;
      return {
        kind,
        at: this.scene.channels.weight[o][i] * this.taps + row * this.kernel[3] + column,
      };
    }
    const shape = this.shapeOf(kind);
    return { kind, at: numbers.reduce((at, number, axis) => at * shape[axis] + number, 0) };
  }

  holds(thing) {
    if (!thing) return true;
    if (thing.kind === "entry")
      return thing.row < this.scene.matrix.rows && thing.column < this.scene.matrix.columns;
    return thing.at < this.shapeOf(thing.kind).reduce((size, side) => size * side, 1);
  }

  // Every [output, pixel, kernel value] that is read, of those the filters let through.
  *reads({ output, pixel, tap } = {}) {
    const { starts, pixel: pixels, tap: taps } = this.scene.reads;
    const channels = this.scene.channels.weight;
    const wantedTap = tap === undefined ? undefined : tap % this.taps;
    const wantedPixel = pixel === undefined ? undefined : pixel % this.pixels;
    const first = output === undefined ? 0 : output % this.positions;
    const last = output === undefined ? this.positions : first + 1;
    let pairs = [];
    channels.forEach((row, o) => {
      if (output !== undefined && o !== Math.floor(output / this.positions)) return;
      row.forEach((slice, i) => {
        if (slice < 0) return;
        if (pixel !== undefined && i !== Math.floor(pixel / this.pixels)) return;
        if (tap !== undefined && slice !== Math.floor(tap / this.taps)) return;
        pairs.push([o * this.positions, i * this.pixels, slice * this.taps]);
      });
    });
    for (let position = first; position < last; position++) {
      for (let at = starts[position]; at < starts[position + 1]; at++) {
        if (wantedTap !== undefined && taps[at] !== wantedTap) continue;
        if (wantedPixel !== undefined && pixels[at] !== wantedPixel) continue;
        for (const [o, i, k] of pairs) yield [o + position, i + pixels[at], k + taps[at]];
      }
    }
  }

  // What a thing lights: flat indices in the three maps, each with the weights that light it.
  lit(thing) {
    const light = { wires: [], input: new Map(), tap: new Map(), output: new Map(), windows: [] };
    if (!thing) return light;
    const filter =
      thing.kind === "entry"
        ? { output: thing.row, pixel: thing.column }
        : { [FILTERS[thing.kind]]: thing.at };
    light.wires = [...this.reads(filter)];
    for (const [output, pixel, tap] of light.wires) {
      add(light.output, output, tap);
      add(light.input, pixel, tap);
      add(light.tap, tap, tap);
    }
    // What is pointed at is lit even where nothing reads it, and so are both ends of a zero.
    if (thing.kind === "entry") {
      touch(light.output, thing.row);
      touch(light.input, thing.column);
    } else {
      touch(light[thing.kind], thing.at);
    }
    const windows = this.scene.reads.window;
    const window = windows && thing.kind === "output" ? windows[thing.at % this.positions] : null;
    if (window) {
      const row = this.scene.channels.weight[Math.floor(thing.at / this.positions)];
      row.forEach((slice, channel) => {
        if (slice >= 0) light.windows.push({ channel, window });
      });
    }
    return light;
  }
}

const FILTERS = { output: "output", input: "pixel", tap: "tap" };

function unravel(at, shape) {
  const place = [];
  for (const side of [...shape].reverse()) {
    place.unshift(at % side);
    at = Math.floor(at / side);
  }
  return place;
}

function add(map, at, tap) {
  const taps = map.get(at) ?? [];
  if (!taps.includes(tap)) taps.push(tap);
  map.set(at, taps);
}

function touch(map, at) {
  if (!map.has(at)) map.set(at, []);
}
