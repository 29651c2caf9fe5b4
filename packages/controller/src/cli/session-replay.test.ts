import { expect, test } from "vitest";
import { pauses } from "./session-replay.ts";

test.each([
  [{ speed: 1, maxPauseMs: Number.POSITIVE_INFINITY }, [500, 0, 9_500]],
  [{ speed: 2, maxPauseMs: Number.POSITIVE_INFINITY }, [250, 0, 4_750]],
  [{ speed: 1, maxPauseMs: 1_000 }, [500, 0, 1_000]],
  [{ speed: 0.5, maxPauseMs: 1_000 }, [1_000, 0, 1_000]],
])("at %j events come after %j ms", (pace, expected) => {
  const pause = pauses(pace);
  // A clock that was set back does not make it wait.
  expect([500, 400, 10_000].map(pause)).toEqual(expected);
});
