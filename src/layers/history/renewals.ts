/**
 * The sessions that are held, and the renewal of their leases.
 */
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import type * as Scope from "effect/Scope"
import { Alarm, type Alarms } from "../../services/Alarms.js"
import type { Journal } from "../../services/History.js"
import type { Leases } from "../../services/Leases.js"
import type { SessionStore } from "../../services/SessionStore.js"

export interface Renewals {
  readonly enter: (journal: Journal, clock: Clock.Clock, onLost: () => void) => void
  readonly current: (session: string) => Journal | undefined
  readonly end: (session: string) => Journal | undefined
}

/** While operations run, all their leases are renewed in one call. Whose is not renewed is told that it is lost. */
export const makeRenewals = (
  store: Context.Tag.Service<SessionStore>,
  alarms: Context.Tag.Service<Alarms>,
  owner: string,
  { duration, renewal }: Context.Tag.Service<Leases>
): Effect.Effect<Renewals, never, Scope.Scope> =>
  Effect.map(Effect.all([Effect.runtime(), Effect.scope]), ([runtime, scope]) => {
    const live = new Map<string, { readonly journal: Journal; readonly onLost: () => void }>()
    let clock: Clock.Clock | undefined

    const renew = Effect.suspend(() => {
      const owned = [...live.values()].filter(({ journal }) => journal.owned && !journal.lost)
      if (owned.length === 0) return Effect.void
      const leases = owned.map(({ journal: { epoch, row } }) => ({ id: row.id, incarnation: row.incarnation, epoch }))
      return Effect.map(store.renew(owner, leases, duration), (kept) => {
        const still = new Set(kept)
        owned.forEach(({ journal, onLost }, i) => {
          // It may have ended since, or have been claimed anew.
          if (still.has(journal.row.id) || !journal.owned || journal.epoch !== leases[i]!.epoch) return
          if (live.get(journal.row.id)?.journal !== journal) return
          journal.lost = true
          onLost()
        })
      })
    })

    const beat = new Alarm(() => {
      // A store that fails now may answer the next time, and until then it refuses what it must.
      Runtime.runFork(
        runtime,
        Effect.ensuring(
          Effect.ignoreLogged(renew),
          Effect.sync(() => {
            if (live.size > 0 && clock !== undefined) set(clock)
          })
        ),
        { scope }
      )
    })

    const set = (on: Clock.Clock) => {
      clock = on
      alarms.set(on, beat, on.unsafeCurrentTimeMillis() + renewal)
    }

    return {
      enter: (journal, on, onLost) => {
        live.set(journal.row.id, { journal, onLost })
        if (live.size === 1) set(on)
      },
      current: (session) => live.get(session)?.journal,
      end: (session) => {
        const it = live.get(session)
        live.delete(session)
        if (live.size === 0 && clock !== undefined) alarms.unset(clock, beat)
        return it?.journal
      }
    }
  })
