// A card of answers. The kernel knows the question and, later, the machine's answer; what is chosen is seen at once, and
// the kernel hears of it when it is free.
//
// Keys: JupyterLab takes a letter or an arrow that is pressed on a button for a command of its own: A would insert a
// cell. Its handler is the document's; a handler of the window comes first, and takes the keys of a card that has the
// focus: every letter, and also after the verdict. With Shift, Ctrl and the like they are JupyterLab's as ever:
// Shift+Enter runs the selected cell and goes on. So is an arrow that leads out of the card: it goes to the next cell.
// Which cell is to be selected is told with the event `labkit-card`, which the lab's extension of JupyterLab takes: after a
// choice the next one, so that Shift+Enter goes on; when an arrow leads out, the card's own.

const LETTERS = "ABCDEFGHIJ";
const YOU = '<span class="lk-chip lk-ink-request">you</span>';
const MACHINE = '<span class="lk-chip lk-ink-answer">the machine</span>';
const STEPS = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };

export default {
  render({ model, el }) {
    el.innerHTML = model.get("html");
    const buttons = [...el.querySelectorAll("button[data-answer]")];
    const note = el.querySelector(".lk-note");
    const isDead = () => el.closest(".jupyter-widgets-disconnected") !== null; // its kernel has gone

    const say = (chosen, given) => {
      if (given >= 0 && given === chosen) return `You said ${LETTERS[chosen]}. The machine says ${LETTERS[given]}, too.`;
      if (given >= 0) return `You said ${LETTERS[chosen]}. The machine says ${LETTERS[given]}.`;
      if (isDead()) return chosen < 0 ? "Run this cell, then choose." : `You said ${LETTERS[chosen]}.`;
      if (chosen >= 0) return `You say ${LETTERS[chosen]}. Run the next cell, and see.`;
      return "What do you think? Click an answer, or go to it with Tab and press its letter.";
    };
    const select = step => el.dispatchEvent(new CustomEvent("labkit-card", { bubbles: true, detail: { step } }));
    const draw = () => {
      const chosen = model.get("chosen"), given = model.get("given");
      for (const [number, button] of buttons.entries()) {
        button.setAttribute("aria-pressed", number === chosen);
        button.toggleAttribute("data-machine", number === given);
        // Not `disabled`: such a button loses the focus, and the next key is JupyterLab's.
        button.setAttribute("aria-disabled", given >= 0 || isDead());
        button.querySelector(".lk-says").innerHTML = (number === chosen ? YOU : "") + (number === given ? MACHINE : "");
      }
      const words = say(chosen, given);
      if (note.textContent !== words) note.textContent = words;
    };
    const choose = number => {
      buttons[number].focus();
      if (buttons[number].getAttribute("aria-disabled") === "true") return;
      model.set("chosen", number);
      model.save_changes();
      draw();
      select(1);
    };
    const onKey = event => {
      if (!el.contains(event.target) || event.shiftKey || event.ctrlKey || event.altKey || event.metaKey) return;
      const focused = buttons.indexOf(event.target);
      const isLetter = /^[a-z]$/i.test(event.key);
      const letter = isLetter ? LETTERS.indexOf(event.key.toUpperCase()) : -1;
      if (focused >= 0 && (event.key === "Enter" || event.key === " ")) choose(focused);
      else if (letter >= 0 && letter < buttons.length) choose(letter);
      else if (focused >= 0 && buttons[focused + STEPS[event.key]]) buttons[focused + STEPS[event.key]].focus();
      else if (!isLetter) {
        if (focused >= 0 && event.key in STEPS) select(0);
        return;
      }
      event.preventDefault();
      event.stopImmediatePropagation();
    };

    for (const [number, button] of buttons.entries()) button.addEventListener("click", () => choose(number));
    window.addEventListener("keydown", onKey, true);
    model.on("change:chosen", draw);
    model.on("change:given", draw);
    model.on("comm_live_update", draw);
    draw();
    return () => {
      window.removeEventListener("keydown", onKey, true);
      for (const name of ["change:chosen", "change:given", "comm_live_update"]) model.off(name, draw);
    };
  },
};
