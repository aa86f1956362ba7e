// Play: the window steps over the outputs, one after the other.

import { say } from "./words.js";
import { point, shown, whenScene } from "./store.js";

const STEP = 650; // milliseconds

export function startPlayer(button) {
  let timer = null;
  let at = -1;
  const label = () => {
    button.setAttribute("aria-pressed", shown.playing);
    button.querySelector("span").textContent = say(shown.playing ? "pause" : "play");
  };
  const step = () => {
    at = (at + 1) % shown.scene.output.values.length;
    point({ kind: "output", at }, true);
  };
  const toggle = () => {
    if (!shown.scene) return;
    shown.playing = !shown.playing;
    clearInterval(timer);
    if (shown.playing) {
      at = shown.pinned?.kind === "output" ? shown.pinned.at - 1 : -1;
      timer = setInterval(step, STEP);
      step();
    } else {
      point(null);
    }
    label();
  };
  button.addEventListener("click", toggle);
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input:not([type=range]):not([type=checkbox]), select");
    if (event.key.toLowerCase() !== "p" || event.ctrlKey || event.metaKey || event.altKey || typing)
      return;
    event.preventDefault();
    toggle();
  });
  whenScene(label);
}
