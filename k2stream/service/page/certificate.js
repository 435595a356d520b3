// The certificate of a candle in a dialog: every field that the service gives, under readable names.

import { get, named } from "./api.js";
import { $, make } from "./dom.js";
import { fields } from "./fields.js";
import { time as timeText } from "./format.js";

const STORED = ["1m", "5m", "15m", "30m", "1h", "1d"];

/** Open the dialog with a candle, and with its certificate once it is read. */
export async function openCertificate({ exchange, symbol, timeframe, zone }, candle) {
  $("certificate-title").textContent = `${exchange} ${symbol} ${timeframe}, ${timeText(candle.open_time, zone)} ${zone}`;
  const issued = candle.final && STORED.includes(timeframe) && zone === "UTC" && exchange !== "all";
  const waits = candle.final ? "Certificates are of stored candles: its parts have them." : "Its certificate is issued when the candle is final.";
  const status = make("p", { role: "status" }, issued ? "reading the certificate" : waits);
  const { revised, ...shown } = candle;
  $("certificate-body").replaceChildren(status, fields(shown, zone));
  $("certificate").showModal();
  if (!issued) return;
  try {
    const found = await get(["ohlcv", exchange, named(symbol), timeframe, candle.open_time, "certificate"]);
    status.replaceWith(make("h3", {}, "Certificate"), fields(found, zone), make("h3", {}, "Candle"));
  } catch (error) {
    status.textContent = error.status === 404 ? "No certificate yet: it is issued when the candle is final." : error.message;
  }
}
