// Where scenes come from: the engine, or the one that an exported page carries.

const embedded = document.getElementById("scene");
export const offline = embedded !== null;

const SPACING = 50; // milliseconds between two questions while a slider moves
let last = 0;
let waiting;
let asking;

// What the engine refuses: the field, its value, what would fit and why.
export class RefusedState extends Error {
  constructor({ field, value, allowed, reason }) {
    super(reason);
    Object.assign(this, { field, value, allowed, reason });
  }
}

// The scene of a state; an older question is dropped when a newer one comes.
export async function sceneOf(query) {
  if (offline) return JSON.parse(embedded.textContent);
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
