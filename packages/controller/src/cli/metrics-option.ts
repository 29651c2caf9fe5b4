/** `--metrics`: whether the controller measures itself, and who may collect it. */
import { value } from "./command.ts";
import { type Listen, listenText, parseListen } from "./listen.ts";

/** `operators`: at the controller's own port alone. An address: there, too, in the clear. */
export type MetricsOffer = "off" | "operators" | Listen;

/** @throws Error saying what it should look like */
export function parseMetrics(text: string): MetricsOffer {
  if (text === "off" || text === "operators") return text;
  try {
    return parseListen(text);
  } catch {
    throw new Error("is not HOST:PORT (e.g. 127.0.0.1:9464), operators or off");
  }
}

export function metricsText(offer: MetricsOffer): string {
  return typeof offer === "string" ? offer : listenText(offer);
}

/** What the server is told. */
export function offered(offer: MetricsOffer): Exclude<MetricsOffer, "off"> | undefined {
  return offer === "off" ? undefined : offer;
}

/** @param defaultText when it is not given */
export const metricsOption = (defaultText: string) =>
  ({
    metrics: value(
      "Offer metrics for Prometheus: in the clear at a loopback address, and to operators who may do metrics.read at the " +
        "controller's own port (`operators`: there alone)",
      { argument: "HOST:PORT|operators|off", parse: parseMetrics, defaultText },
    ),
  }) as const;
