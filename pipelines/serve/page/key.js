// The key that requests are sent with.

import { byId } from "./making.js";

const KEPT = "spanrag-key";

/** The key, or ""; the browser forgets it with the tab. */
export const readKey = () => sessionStorage.getItem(KEPT) ?? "";

/** Lead to the field; returns what is wrong. */
export function askForKey() {
  byId("key").setAttribute("aria-invalid", "true");
  byId("key").focus();
  byId("key").select();
  return readKey()
    ? "The server knows no such key: correct it above."
    : "The server asks for a key: write it into the field above.";
}

/** Keep what is written there, and go on by `goOn` when it is sent. */
export function listen(goOn) {
  const field = byId("key");
  field.value = readKey();
  field.addEventListener("input", () => {
    field.removeAttribute("aria-invalid");
    if (field.value.trim()) sessionStorage.setItem(KEPT, field.value.trim());
    else sessionStorage.removeItem(KEPT);
  });
  byId("key-form").addEventListener("submit", (event) => {
    event.preventDefault();
    goOn();
  });
}
