// What the page shows, kept in the address, so that a link or a reload shows the same.

const DEFAULTS = { view: "chart", exchange: "", symbol: "", timeframe: "1m", zone: "UTC", overlays: "" };

/** The selection in the address. */
export function read() {
  const [view, query] = location.hash.slice(1).split("?");
  return { ...DEFAULTS, ...Object.fromEntries(new URLSearchParams(query ?? "")), view: view || DEFAULTS.view };
}

/** Change the address; `hashchange` tells all views. */
export function change(changed) {
  const { view, ...rest } = { ...read(), ...changed };
  const given = Object.entries(rest).filter(([name, value]) => value !== DEFAULTS[name]);
  location.hash = given.length ? `${view}?${new URLSearchParams(given)}` : view;
}
