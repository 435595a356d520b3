// The key of a service that has K2_SERVICE_KEYS: asked for once, kept for this tab, never part of an address.

import { $ } from "./dom.js";

const STORED = "k2.key";
let asking = null;

/** The key that was given; empty without one. */
export const key = () => sessionStorage.getItem(STORED) ?? "";

/** The key's UTF-8, one character a byte, as headers have it. */
const bytes = () => String.fromCharCode(...new TextEncoder().encode(key()));

/** What requests say of the key. */
export const headers = () => (key() ? { "X-API-Key": bytes() } : {});

/** What a WebSocket says of it: browsers send no headers there, and an address would end in logs. */
export function protocols() {
  const encoded = btoa(bytes()).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  return encoded ? ["k2", `k2.key.${encoded}`] : [];
}

/** Ask for the key, once for all who wait; whether one was given. */
export function ask() {
  asking ??= new Promise((resolve) => {
    const dialog = $("access");
    $("access-refused").hidden = !key();
    dialog.returnValue = $("access-key").value = "";
    dialog.addEventListener("close", () => {
      const given = dialog.returnValue && $("access-key").value.trim();
      if (given) sessionStorage.setItem(STORED, given);
      $("access-key").value = "";
      asking = null;
      resolve(Boolean(given));
    }, { once: true });
    document.querySelector("dialog[open]")?.close();
    dialog.showModal();
  });
  return asking;
}
