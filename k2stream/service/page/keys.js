// Keys, for all that the pointer does.

import { $, make } from "./dom.js";

/** Bind keys, each [key, text, action, whether it applies now]; "?" shows them. */
export function bind(keys) {
  const all = [...keys, ["?", "show these keys", () => $("keys").showModal()]];
  $("keys-list").replaceChildren(
    ...all.flatMap(([key, text]) => [make("dt", {}, make("kbd", {}, key === " " ? "space" : key)), make("dd", {}, text)]),
  );
  $("help").addEventListener("click", () => $("keys").showModal());
  document.addEventListener("keydown", (event) => {
    const typing = event.target.matches("input, select, textarea") || document.querySelector("dialog[open]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter" && event.target.closest("a, button")) return; // it follows or presses that
    const found = all.find(([key, , , applies]) => key === event.key && (!applies || applies()));
    if (!found) return;
    event.preventDefault();
    found[2]();
  });
}
