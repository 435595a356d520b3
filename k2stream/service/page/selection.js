// What the page shows, kept in the address, so that a link or a reload shows the same.

const DEFAULTS = { view: "chart", exchange: "", symbol: "", timeframe: "1m", zone: "UTC", overlays: "" };

/** The selection in the address. */
export function read() {
  const [view, query] = location.hash.slice(1).split("?");
  return { ...DEFAULTS, ...Object.fromEntries(new URLSearchParams(query ?? "")), view: view || DEFAULTS.view };
}

function address(changed) {
  const { view, ...rest } = { ...read(), ...changed };
  const given = Object.entries(rest).filter(([name, value]) => value !== DEFAULTS[name]);
  return given.length ? `${view}?${new URLSearchParams(given)}` : view;
}

/** Change the address; `hashchange` tells all views. */
export function change(changed) {
  location.hash = address(changed);
}

/** Put what is shown into the address, in place of what was asked for; the views are not told. */
export function replace(changed) {
  history.replaceState(null, "", `#${address(changed)}`);
}

/** What of a selection there is not, and what is shown instead; empty when all is shown. */
export function unmet(wanted, shown) {
  const plain = (text) => text.replace("/", "-"); // BTC-USDT is BTC/USDT
  const said = (name, kind, where = "") =>
    wanted[name] && plain(wanted[name]) !== plain(shown[name])
      ? [`There is no ${kind} ${wanted[name]}${where}: ${shown[name]} is shown.`] : [];
  return [
    ...said("exchange", "exchange"), ...said("symbol", "symbol", ` on ${shown.exchange}`),
    ...said("timeframe", "timeframe"), ...said("zone", "time zone"),
  ].join(" ");
}
