/**
 * One writer at a time for each place of a sandbox, whichever tool, session or engine it writes for.
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as GlobalValue from "effect/GlobalValue"
import type { Sandbox } from "../../services/Sandbox.js"

type Service = Context.Tag.Service<Sandbox>

interface Line {
  readonly turn: Effect.Semaphore
  /** Those that are inside or wait. */
  users: number
}

const lines = GlobalValue.globalValue("baton/PathLock/lines", () => new WeakMap<Service, Map<string, Line>>())

/**
 * Runs an effect while no other runs for the same place (`Sandbox.place`) of the same sandbox; waits for its turn in the
 * order of arrival. Interrupted, it leaves its place in line or ends the effect; what nobody holds or waits for is
 * forgotten.
 */
export const alone = <A, E, R>(
  sandbox: Service,
  place: string,
  effect: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => enter(sandbox, place)),
    (line) => line.turn.withPermits(1)(effect),
    (line) => Effect.sync(() => leave(sandbox, place, line))
  )

/** How many places are held or waited for. */
export const lockedPlaces = (sandbox: Service): number => lines.get(sandbox)?.size ?? 0

const enter = (sandbox: Service, place: string): Line => {
  const places = lines.get(sandbox) ?? new Map<string, Line>()
  lines.set(sandbox, places)
  const line = places.get(place) ?? { turn: Effect.unsafeMakeSemaphore(1), users: 0 }
  places.set(place, line)
  line.users++
  return line
}

const leave = (sandbox: Service, place: string, line: Line): void => {
  line.users--
  if (line.users === 0) lines.get(sandbox)?.delete(place)
}
