// Draws what the kernel sends, at most once a frame, and changes only what is new: what the reader has opened,
// scrolled or focused stays. Rows are told apart by data-key, a number that grows; one that the kernel leaves out stays
// while its details are open or it has the focus. An element with data-follow stays at its end, where the newest is,
// until it is scrolled away from there.
//
// An element with data-replay has a slider that walks through the rows with data-step: those that come later are pale,
// and so is, in a row that is open, what has data-from, the row in which it comes; data-says of the row on which the
// slider stands is told. A button with data-play moves the slider.

const isSame = (one, other) => one.nodeName === other.nodeName && one.dataset?.key === other.dataset?.key;
const isHeld = one => one.dataset?.key
  && (one.open || one.querySelector(":scope > details[open]") || one.contains(document.activeElement));
const isAtEnd = one => one.scrollTop + one.clientHeight > one.scrollHeight - 5;

function change(old, wanted) {
  if (old.isEqualNode(wanted)) return;
  if (old.nodeType !== Node.ELEMENT_NODE) {
    old.nodeValue = wanted.nodeValue;
    return;
  }
  for (const { name } of [...old.attributes]) {
    if (!wanted.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  }
  for (const { name, value } of wanted.attributes) old.setAttribute(name, value);
  changeChildren(old, wanted);
}

function changeChildren(old, wanted) {
  const keys = new Set([...wanted.children].map(one => one.dataset.key));
  for (const one of [...old.children]) {
    if (!keys.has(one.dataset.key) && !isHeld(one)) one.remove();
  }
  let place = old.firstChild;
  for (const one of [...wanted.childNodes]) {
    while (place && isHeld(place) && +place.dataset.key < +one.dataset?.key) place = place.nextSibling;
    if (place && isSame(place, one)) {
      change(place, one);
      place = place.nextSibling;
    } else {
      old.insertBefore(one, place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    if (!isHeld(place)) place.remove();
    place = next;
  }
}

const sliders = root => [...root.querySelectorAll("[data-replay] input")];

function replay(slider) {
  const now = +slider.value, isWhole = slider.value === slider.max, card = slider.closest(".lk-card");
  for (const part of card.querySelectorAll("[data-from]")) part.classList.toggle("w-later", +part.dataset.from > now);
  for (const row of card.querySelectorAll("[data-step]")) {
    const step = +row.dataset.step;
    row.classList.toggle("w-later", step > now);
    row.classList.toggle("w-now", step === now && !isWhole);
    if (step === now) {
      slider.closest("[data-replay]").querySelector("output").value = isWhole ? "" : row.dataset.says;
      slider.setAttribute("aria-valuetext", row.dataset.says);
    }
  }
}

const playing = new WeakMap();

function stopPlaying(slider) {
  clearTimeout(playing.get(slider));
  playing.delete(slider);
}

function play(slider) {
  const row = slider.closest(".lk-card").querySelector(`[data-step="${+slider.value + 1}"]`);
  if (!row || !slider.isConnected) return playing.delete(slider);
  slider.value = +slider.value + 1;
  replay(slider);
  playing.set(slider, setTimeout(() => play(slider), 400 + 10 * (parseFloat(row.style.getPropertyValue("--gap")) || 0)));
}

function press(button) {
  const slider = button.closest("[data-replay]").querySelector("input");
  if (playing.has(slider)) return stopPlaying(slider);
  if (slider.value === slider.max) slider.value = 0;
  replay(slider);
  play(slider);
}

function redraw(root, html) {
  const following = [...root.querySelectorAll("[data-follow]")].filter(isAtEnd);
  const atEnd = sliders(root).filter(one => one.value === one.max);
  const wanted = document.createElement("template");
  wanted.innerHTML = html;
  changeChildren(root, wanted.content);
  for (const one of following) one.scrollTop = one.scrollHeight;
  for (const one of atEnd) one.value = one.max;
  for (const one of sliders(root)) replay(one);
}

export default {
  render({ model, el }) {
    let frame = null, gone = false;
    const draw = () => {
      frame = null;
      redraw(el, model.get("html"));
      const state = gone && el.querySelector("[data-state=live]");
      if (state) state.textContent = "stopped: the kernel has gone";
    };
    model.on("change:html", () => { frame ??= requestAnimationFrame(draw); });
    // The kernel is restarted: nobody else is left to say so.
    model.on("comm_live_update", () => {
      gone = true;
      draw();
    });
    el.addEventListener("input", event => {
      if (!event.target.closest("[data-replay]")) return;
      stopPlaying(event.target);
      replay(event.target);
    });
    el.addEventListener("click", event => {
      const button = event.target.closest("[data-play]");
      if (button) press(button);
    });
    // The notebook would take the arrow keys of a slider, and of a radio button, for its own.
    el.addEventListener("keydown", event => { if (event.target.matches("input")) event.stopPropagation(); });
    draw();
    return () => cancelAnimationFrame(frame);
  },
};
