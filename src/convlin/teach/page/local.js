// A scene without an engine: a geometry that the page carries, or one that it computes itself, and
// the values of a link.

import { given } from "./given.js";
import { convolution, outputsOf, plain, reach, rowOf } from "./convolution.js";
import { SCALE, linkOf, valuesOf } from "./decimals.js";
import { Places } from "./highlight.js";

const SIDES = ["size", "kernel", "stride", "padding", "dilation"]; // height × width
const LARGEST_HERE = 32; // pixels a side of what is computed here

// The scene of a query; null where it needs the engine.
export function localScene(query) {
  const asked = fieldsOf(new URLSearchParams(query));
  const geometry = geometryOf(asked);
  const known = given.geometries[linkOfGeometry(asked)];
  const scene = known ? { ...known } : geometry && convolution(geometry);
  if (!scene) return null;
  const ownImage = imageOf(asked, scene);
  const ownWeights = weightsOf(scene);
  const image = valuesOf(asked.image, ownImage);
  const weights = valuesOf(asked.weights, ownWeights);
  if (!image || !weights) return null;
  const outputs = outputsOf(scene, image, weights);
  scene.input = { shape: scene.input.shape, values: plain(image) };
  scene.kernel = { ...scene.kernel, values: plain(weights) };
  scene.output = { shape: scene.output.shape, values: plain(outputs, SCALE * SCALE) };
  scene.matrix = { ...scene.matrix, drawn: true, image: null };
  const at = pinned(asked, scene);
  scene.neuron = neuronOf(scene, at, weights);
  scene.state = {
    ...geometryTexts(asked),
    image: linkOf(image, ownImage),
    weights: linkOf(weights, ownWeights),
    along: "0",
    preset: presetOf(asked, at),
    picture: asked.picture ?? null,
    lang: given.lang,
    at,
  };
  scene.link = linkOfState(scene.state);
  Object.assign(scene, ends(asked, geometry));
  return scene;
}

// Every field of a query as a text, what its preset or picture says included.
function fieldsOf(query) {
  const texts = Object.fromEntries([...query].filter(([, text]) => text));
  const picture = texts.picture && given.pictures[texts.picture];
  const sized = picture ? { size: picture.size.join("x"), in: "1" } : {};
  const asked = { ...given.defaults, ...given.presets[texts.preset], ...sized, ...texts };
  for (const name of SIDES) {
    const sides = asked[name].split(/[x×]/);
    asked[name] = `${Number(sides[0])}x${Number(sides.at(-1))}`;
  }
  if (picture && (asked.size !== picture.size.join("x") || asked.in !== "1")) delete asked.picture;
  return asked;
}

const geometryTexts = (asked) =>
  Object.fromEntries(Object.keys(given.defaults).map((name) => [name, asked[name]]));

function linkOfGeometry(asked) {
  const texts = Object.entries(geometryTexts(asked));
  return linkOfPairs(texts.filter(([name, text]) => text !== given.defaults[name]));
}

function linkOfPairs(pairs) {
  return `?${pairs.map(([name, text]) => `${name}=${encodeURIComponent(text)}`).join("&")}`
    .replaceAll("%2C", ",")
    .replaceAll("%3A", ":");
}

function linkOfState(state) {
  const defaults = { ...given.defaults, along: "0", lang: "en" };
  return linkOfPairs(
    Object.entries(state).filter(
      ([name, text]) => text !== null && name !== "preset" && text !== defaults[name],
    ),
  );
}

// The numbers of a geometry of one channel, padded with zeros; null for any other.
function geometryOf(asked) {
  const plainOnes = ["in", "out", "groups"].every((name) => asked[name] === "1");
  if (!plainOnes || asked.mode !== "zeros" || asked.transposed !== "0") return null;
  const numbers = Object.fromEntries(
    SIDES.map((name) => [name, asked[name].split("x").map(Number)]),
  );
  return Math.max(...numbers.size) <= LARGEST_HERE ? numbers : null;
}

function imageOf({ picture }, { input }) {
  if (picture) return given.pictures[picture].values.map((value) => value * SCALE);
  if (input.values) return input.values.map((value) => Math.round(value * SCALE));
  const [, rows, columns] = input.shape;
  if (rows === 6 && columns === 6)
    return given.geometries["?"].input.values.map((value) => value * SCALE);
  return Array.from(
    { length: rows * columns },
    (_, at) => ((7 * at + 3 * Math.floor(at / 10) + 1) % 10) * SCALE,
  );
}

function weightsOf({ kernel }) {
  if (kernel.values) return kernel.values.map((value) => Math.round(value * SCALE));
  const [rows, columns] = kernel.shape.slice(2);
  if (rows === 3 && columns === 3)
    return given.geometries["?"].kernel.values.map((value) => value * SCALE);
  return Array.from({ length: rows * columns }, (_, tap) => {
    const number = ((8 * tap + 3 * Math.floor(tap / 11) + 3) % 11) - 5;
    return (number === 0 ? 6 : number) * SCALE;
  });
}

// What is pinned, as a link writes it; null where there is no such place.
function pinned({ at }, scene) {
  if (!at) return null;
  const places = new Places(scene);
  const thing = places.thing(at);
  return thing && places.holds(thing) && places.name(thing) === at ? at : null;
}

// The output that is pinned as a fully connected neuron.
function neuronOf(scene, at, weights) {
  const places = new Places(scene);
  const thing = at && places.thing(at);
  const row = thing?.kind === "output" ? thing.at : (thing?.row ?? 0);
  const pixels = scene.input.values.length;
  const base = plain(rowOf(scene, row, pixels, weights));
  return { row, base, weights: base };
}

function presetOf(asked, at) {
  const alike = Object.entries(given.presets).filter(([, fields]) =>
    Object.entries(geometryTexts({ ...given.defaults, ...fields })).every(
      ([name, text]) => asked[name] === text,
    ),
  );
  const there = alike.find(([name, fields]) => name === asked.preset || fields.at === (at ?? undefined));
  return (there ?? alike[0])?.[0] ?? null;
}

// How far each slider goes here; no further than where it stands, where the engine is needed.
function ends(asked, geometry) {
  const fixed = (name) => {
    const numbers = asked[name].split("x").map(Number);
    return [Math.min(...numbers), Math.max(...numbers)];
  };
  const square = geometry && SIDES.every((name) => geometry[name][0] === geometry[name][1]);
  const limits = Object.fromEntries(
    [...SIDES, "in", "out"].map((name) => [name, fixed(name)]),
  );
  return {
    limits: square ? { ...limits, ...reach(geometry) } : limits,
    divisors: [Number(asked.groups)],
  };
}
