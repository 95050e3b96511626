// Draws what the kernel sends, at most once a frame, and changes only what is new: what the reader has opened,
// scrolled or focused stays. Rows are told apart by data-key, a number that grows; one that the kernel leaves out stays
// while it is open or has the focus. An element with data-follow stays at its end, where the newest is, until it is
// scrolled away from there.

const isSame = (one, other) => one.nodeName === other.nodeName && one.dataset?.key === other.dataset?.key;
const isHeld = one => one.dataset?.key && (one.open || one.contains(document.activeElement));
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

function redraw(root, html) {
  const following = [...root.querySelectorAll("[data-follow]")].filter(isAtEnd);
  const wanted = document.createElement("template");
  wanted.innerHTML = html;
  changeChildren(root, wanted.content);
  for (const one of following) one.scrollTop = one.scrollHeight;
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
    draw();
    return () => cancelAnimationFrame(frame);
  },
};
