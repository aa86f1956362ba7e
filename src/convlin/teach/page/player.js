// Play: the window steps over the outputs, one after the other.

import { say } from "./words.js";
import { point, shown, whenScene } from "./store.js";

const STEP = 650; // milliseconds
const STOPS = ["pointerdown", "wheel", "touchstart", "keydown"]; // what ends a round nobody asked for

export function startPlayer(button) {
  let timer = null;
  let at = -1;
  const label = () => {
    button.setAttribute("aria-pressed", shown.playing);
    button.querySelector("span").textContent = say(shown.playing ? "views.pause" : "views.play");
  };
  let once = false;
  const step = () => {
    if (once && at + 1 >= shown.scene.output.values.length) return toggle();
    at = (at + 1) % shown.scene.output.values.length;
    point({ kind: "output", at }, true);
  };
  const toggle = () => {
    if (!shown.scene) return;
    shown.playing = !shown.playing;
    if (!shown.playing) once = false;
    clearInterval(timer);
    if (shown.playing) {
      at = !once && shown.pinned?.kind === "output" ? shown.pinned.at - 1 : -1;
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

  // One round, to show what there is, unless the reader does something or wants no motion.
  return () => {
    if (shown.playing || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    once = true;
    toggle();
    const stop = () => {
      for (const kind of STOPS) removeEventListener(kind, stop, true);
      if (once && shown.playing) toggle();
    };
    for (const kind of STOPS) addEventListener(kind, stop, { capture: true, passive: true });
  };
}
