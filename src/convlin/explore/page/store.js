// The one place that knows what is shown, asked for, pointed at and pinned.

import { Places } from "./highlight.js";
import { RefusedState, offline, sceneOf } from "./scene.js";

export const shown = {
  scene: null, // the last good scene
  wanted: new URLSearchParams(), // what was asked for last, whether the engine granted it or not
  pointed: null, // {kind, ...} under the pointer or the focus
  pinned: null,
  refusal: null,
  playing: false,
};

// What a link holds of one geometry alone, and the fields whose change leaves no place for it.
const GEOMETRY = "size in out kernel stride padding mode dilation groups transposed preset".split(
  " ",
);
const SHAPES = {
  image: ["size", "in", "preset"],
  weights: ["kernel", "in", "out", "groups", "transposed", "preset"],
  along: GEOMETRY,
};

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

export function tellPoint() {
  const { scene } = shown;
  if (!scene) return;
  const thing = current();
  const light = scene.places.lit(thing);
  for (const listener of onPoint) listener({ scene, thing, light });
}

export function tellScene() {
  for (const listener of onScene) listener(shown);
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
  if (!offline) change({ at: shown.pinned ? shown.scene.places.name(shown.pinned) : null });
}

// Ask for the state with some fields changed; null takes a field out.
export function change(fields) {
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

export async function ask() {
  let scene;
  try {
    scene = await sceneOf(query(shown.wanted));
  } catch (error) {
    if (error.name === "AbortError") return;
    if (error.field === "at" && shown.wanted.has("at") && shown.scene) {
      await change({ at: null }); // what was pinned lies outside the new maps
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
  shown.wanted = new URLSearchParams(scene.link.slice(1));
  shown.pinned = scene.state.at ? scene.places.thing(scene.state.at) : null;
  if (!scene.places.holds(shown.pointed)) shown.pointed = null;
  if (!offline) address(scene);
  tellScene();
}

let written = -PAUSE;
let writing;

// The link goes into the address, with its language even where that is the engine's default: a
// browser that speaks another would else read it otherwise.
function address({ link, state }) {
  const fields = new URLSearchParams(link.slice(1));
  fields.set("lang", state.lang);
  clearTimeout(writing);
  writing = setTimeout(
    () => {
      written = performance.now();
      history.replaceState(null, "", `?${query(fields)}${location.hash}`);
    },
    Math.max(0, written + PAUSE - performance.now()),
  );
}
