// The text beside the views: each paragraph sets a state, questions come before rulings, code can be
// copied, and what is folded is unfolded on paper.

import { byId, child } from "./elements.js";
import { say } from "./words.js";

const READ_AFTER = 140; // milliseconds that a paragraph is in sight before it sets its state
const STILL = 400; // milliseconds that a paragraph stays which was asked for, wherever the page goes

// show(data, asked, keys) is called for a paragraph that is read, or asked for, by keys or pointer.
export function startArticle(show) {
  const paragraphs = [...document.querySelectorAll(".step")];
  let active = null;
  const set = (paragraph, asked = false, keys = false) => {
    if (asked) forget();
    else if (paragraph === active) return;
    active?.classList.remove("on");
    if (active) press(active, false);
    active = paragraph;
    active.classList.add("on");
    press(active, true);
    show(paragraph.dataset, asked, keys);
  };
  for (const paragraph of paragraphs) {
    const button = child(paragraph, "button", "show", { type: "button", "aria-pressed": "false" });
    button.textContent = say("views.show");
    button.addEventListener("click", ({ detail }) => set(paragraph, true, detail === 0));
  }
  const forget = followReading(paragraphs, set);
  questions();
  copying();
  printing();
  return (name) => {
    const paragraph = name ? byId(name) : paragraphs[0];
    if (paragraph) set(paragraph);
  };
}

function press(paragraph, on) {
  const button = paragraph.querySelector(".show");
  button.setAttribute("aria-pressed", on);
  button.textContent = say(on ? "views.showing" : "views.show");
}

// The paragraph that is read: the last one that has come up to a third of the window. Returns what
// has a scroll forgotten that comes with what is asked for: by the focus, or by a panel that opens.
function followReading(paragraphs, set) {
  let waiting;
  let asked = -STILL;
  const read = () => {
    const line = innerHeight * 0.4;
    const open = paragraphs.filter((one) => !one.classList.contains("veiled"));
    const above = open.filter((one) => one.getBoundingClientRect().top < line);
    const one = above.at(-1);
    if (one) set(one);
  };
  addEventListener(
    "scroll",
    () => {
      clearTimeout(waiting);
      if (performance.now() - asked > STILL) waiting = setTimeout(read, READ_AFTER);
    },
    { passive: true },
  );
  return () => {
    clearTimeout(waiting);
    asked = performance.now();
  };
}

function questions() {
  let right = 0;
  let answered = 0;
  for (const question of document.querySelectorAll(".ask")) {
    const ruling = byId(question.dataset.ruling);
    const correct = Number(question.dataset.right);
    const reveal = veil(question, ruling);
    const options = [...question.querySelectorAll(".options li")];
    const answer = child(question, "p", "answer", { role: "status" });
    const buttons = options.map((option) => {
      const text = option.textContent;
      option.textContent = "";
      const button = child(option, "button", "", { type: "button" });
      button.textContent = text;
      return button;
    });
    buttons.forEach((button, at) => {
      button.addEventListener("click", () => {
        if (question.classList.contains("answered")) return;
        question.classList.add("answered");
        answered++;
        if (at === correct) right++;
        button.classList.add(at === correct ? "right" : "wrong");
        buttons[correct].classList.add("right");
        for (const one of buttons) one.setAttribute("aria-disabled", "true");
        answer.textContent = say(at === correct ? "ask.right" : "ask.wrong", {
          answer: buttons[correct].textContent,
        });
        reveal();
        if (ruling) ruling.querySelector("details.ruling").open = true;
        score(right, answered);
      });
    });
  }
}

// What lies between a question and its ruling says the answer: it waits, unless the reader reads on
// without one. Returns what takes the veil away.
function veil(question, ruling) {
  const between = [];
  for (let next = question.nextElementSibling; next && next !== ruling; next = next.nextElementSibling)
    if (!next.matches(".ask")) between.push(next);
  const skip = child(question, "button", "skip", { type: "button" });
  skip.textContent = say("ask.skip");
  const cover = (on) => {
    for (const element of between) element.classList.toggle("veiled", on);
    skip.hidden = !on;
  };
  cover(between.length > 0);
  skip.addEventListener("click", () => {
    cover(false);
    between[0].tabIndex = -1; // the button is gone: who reads by keys goes on with what it led to
    between[0].focus({ preventScroll: true });
  });
  return () => cover(false);
}

function score(right, asked) {
  const line = byId("score");
  line.hidden = false;
  line.textContent = say("ask.score", { right, asked });
}

// The lines alone, without prompts and what they print.
function copying() {
  for (const code of document.querySelectorAll(".try")) {
    const button = child(code, "button", "copy", { type: "button" });
    button.textContent = say("try.copy");
    button.addEventListener("click", async () => {
      const lines = code.querySelector("code").textContent.split("\n");
      const typed = lines.filter((line) => /^(>>>|\.\.\.)( |$)/.test(line));
      await copied(typed.map((line) => line.slice(4)).join("\n") + "\n");
      button.textContent = say("try.copied");
      setTimeout(() => (button.textContent = say("try.copy")), 1500);
    });
  }
}

// Where a page from a file may not use the clipboard, the old way.
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const field = child(document.body, "textarea", "heard");
    field.value = text;
    field.select();
    document.execCommand("copy");
    field.remove();
  }
}

function printing() {
  const folded = () => [...document.querySelectorAll("#article details:not([open])")];
  let opened = [];
  addEventListener("beforeprint", () => {
    opened = folded();
    for (const one of opened) one.open = true;
  });
  addEventListener("afterprint", () => {
    for (const one of opened) one.open = false;
  });
}
