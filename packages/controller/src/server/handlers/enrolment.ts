/** What the controller answers to a host that has no certificate yet. */
import type { controllerEnrolmentMethods, Handlers } from "@outpost/protocol";
import { greet } from "../greeting.ts";
import type { Services } from "../services.ts";

export function enrolmentHandlers({
  enrolment,
  clock,
}: Services): Handlers<typeof controllerEnrolmentMethods> {
  return {
    hello: (params) => greet(params, "", clock.now()),
    enrol: (params) => enrolment.enrol(params),
  };
}
