// Where scenes come from: the engine, or this page by itself where there is none.

import { offline } from "./given.js";
import { localScene } from "./local.js";

const SPACING = 50; // milliseconds between two questions while a slider moves
let last = 0;
let waiting;
let asking;

// What is refused: the field, its value, what would fit and why; here: it needs the engine.
export class RefusedState extends Error {
  constructor({ field, value, allowed, reason, here = false }) {
    super(reason);
    Object.assign(this, { field, value, allowed, reason, here });
  }
}

// The scene of a state; an older question is dropped when a newer one comes.
export async function sceneOf(query) {
  if (offline) {
    const scene = localScene(query);
    if (!scene) throw new RefusedState({ field: "", here: true });
    return scene;
  }
  clearTimeout(waiting);
  asking?.abort();
  const mine = new AbortController();
  asking = mine;
  await new Promise((resolve) => {
    waiting = setTimeout(resolve, Math.max(0, last + SPACING - performance.now()));
  });
  if (mine.signal.aborted) throw new DOMException("", "AbortError");
  last = performance.now();
  const answer = await fetch(`api/scene?${query}`, { signal: mine.signal });
  if (answer.ok) return answer.json();
  const { error } = await answer.json().catch(() => ({}));
  throw new RefusedState(error ?? { field: "", reason: `${answer.status} ${answer.statusText}` });
}
