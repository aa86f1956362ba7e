// The one place that knows what is shown, asked for, pointed at and pinned.

import { Places } from "./highlight.js";
import { given, offline } from "./given.js";
import { RefusedState, sceneOf } from "./scene.js";

export const shown = {
  scene: null, // the last good scene
  wanted: new URLSearchParams(), // what was asked for last, whether the engine granted it or not
  pointed: null, // {kind, ...} under the pointer or the focus
  pinned: null,
  refusal: null,
  cause: null, // the field that was changed last, of those that the engine may refuse
  playing: false,
};

// What a link holds of one geometry alone, and the fields whose change leaves no place for it.
const GEOMETRY = "size in out kernel stride padding mode dilation groups transposed".split(" ");
const SHAPES = {
  image: ["size", "in", "picture"],
  picture: ["size", "in"],
  weights: ["kernel", "in", "out", "groups", "transposed"],
  along: GEOMETRY,
};
export const VALUES = ["image", "weights"]; // what the readout's field edits, and says so itself
const CAUSES = [...GEOMETRY, ...VALUES];

const PAUSE = 300; // milliseconds between two addresses: browsers allow only so many

const onScene = [];
const onRefusal = [];
const onPoint = [];

export function whenScene(listener) {
  onScene.push(listener);
}

export function whenPoint(listener) {
  onPoint.push(listener);
}

export function whenRefused(listener) {
  onRefusal.push(listener);
}

export function tellRefusal() {
  for (const listener of onRefusal) listener(shown);
}

let drawing = false; // while a new scene is told: some views still hold the old one

export function tellPoint() {
  const { scene } = shown;
  if (!scene || drawing) return;
  const thing = current();
  const light = scene.places.lit(thing);
  for (const listener of onPoint) listener({ scene, thing, light });
}

export function tellScene() {
  drawing = true; // a cell that takes the focus again points at itself
  try {
    for (const listener of onScene) listener(shown);
  } finally {
    drawing = false;
  }
  tellRefusal();
  tellPoint();
}

// What is pinned shows whenever nothing is pointed at.
export function current() {
  return shown.pointed ?? shown.pinned;
}

// The player points, too; while it runs, pointer and focus do not disturb it.
export function point(thing, player = false) {
  if (shown.playing !== player || same(thing, shown.pointed)) return;
  shown.pointed = thing;
  tellPoint();
}

function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

export function pin(thing) {
  shown.pinned = same(thing, shown.pinned) ? null : thing;
  tellPoint();
  change({ at: shown.pinned ? shown.scene.places.name(shown.pinned) : null });
}

// Ask for a state as a whole, and nothing of what was there: a preset's, a paragraph's.
export function choose(query) {
  shown.wanted = new URLSearchParams(query);
  shown.wanted.set("lang", given.lang);
  shown.cause = null;
  shown.refusal = null;
  return ask();
}

// Ask for the state with some fields changed; null takes a field out.
export function change(fields) {
  const cause = CAUSES.find((field) => field in fields) ?? null;
  if (shown.refusal && !(GEOMETRY.includes(cause) && GEOMETRY.includes(shown.cause))) forget();
  shown.cause = cause;
  for (const [dropped, changers] of Object.entries(SHAPES)) {
    if (changers.some((field) => field in fields) && !(dropped in fields))
      shown.wanted.delete(dropped);
  }
  for (const [field, value] of Object.entries(fields)) {
    if (value === null) shown.wanted.delete(field);
    else shown.wanted.set(field, value);
  }
  return ask();
}

// Several sliders may lead together to a layer that there is. Any other wish stands alone: what was
// refused before must not have it refused as well.
function forget() {
  shown.refusal = null;
  if (shown.scene) shown.wanted = granted(shown.scene);
}

function granted({ link, state }) {
  const fields = new URLSearchParams(link.slice(1));
  fields.set("lang", state.lang); // also where it is the engine's default
  return fields;
}

export async function ask() {
  let scene;
  try {
    scene = await sceneOf(query(shown.wanted));
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.field === "at" && shown.wanted.has("at") && shown.scene) {
      shown.wanted.delete("at"); // what was pinned lies outside the new maps
      await ask();
      return;
    }
    shown.refusal = error instanceof RefusedState ? error : { field: "", reason: error.message };
    tellRefusal();
    return;
  }
  adopt(scene);
}

// Commas and colons stay as they are: a long image would else not fit into a link.
function query(fields) {
  return fields.toString().replaceAll("%2C", ",").replaceAll("%3A", ":");
}

function adopt(scene) {
  scene.places = new Places(scene);
  shown.scene = scene;
  shown.refusal = null;
  shown.wanted = granted(scene);
  shown.pinned = scene.state.at ? scene.places.thing(scene.state.at) : null;
  if (!scene.places.holds(shown.pointed)) shown.pointed = null;
  if (!offline) address(scene);
  tellScene();
}

let lastWritten = -PAUSE;
let writing;

// The link goes into the address, with its language: a browser that speaks another would else read
// it otherwise.
function address(scene) {
  const fields = granted(scene);
  clearTimeout(writing);
  writing = setTimeout(
    () => {
      lastWritten = performance.now();
      history.replaceState(history.state, "", `?${query(fields)}${location.hash}`);
    },
    Math.max(0, lastWritten + PAUSE - performance.now()),
  );
}
