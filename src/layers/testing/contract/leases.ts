import * as Effect from "effect/Effect"
import { type Case, pass, refused, same, trial } from "./expect.js"
import { claim, fresh, keep, keyOf, long, session, users } from "./values.js"

const s = session("s")
const stale = (reason: "epoch" | "sequence" | "removed") => ({ _tag: "StaleLease", session: "s", reason })

export const leases: ReadonlyArray<Case> = [
  trial("a claim takes a session that nobody owns and raises its epoch", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      yield* same("what the claim tells", yield* store.append(claim(s, { entries: users(1, 1) })), {
        epoch: 1,
        inbox: 0
      })
      yield* same("the session", yield* store.get("s"), fresh(s, { owner: "me", leased: true, epoch: 1, nextSeq: 2 }))
      yield* same("what a write tells", yield* store.append(keep(s, 2)), { epoch: 1, inbox: 0 })
    })
  ),

  trial("a write that gives the session up leaves it to anybody", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      yield* store.append(claim(s))
      yield* same(
        "what it tells",
        (yield* store.append(keep(s, 1, { lease: "release", entries: users(1, 1) }))).epoch,
        1
      )
      yield* same("the session", yield* store.get("s"), fresh(s, { epoch: 1, nextSeq: 2 }))
      yield* refused("a write of the former owner", store.append(keep(s, 2)), stale("epoch"))
      yield* refused("a second release", store.append(keep(s, 2, { lease: "release" })), stale("epoch"))
      const next = yield* store.append(claim(s, { owner: "they", epoch: 1, expectedSeq: 2, entries: users(2, 1) }))
      yield* same("the next epoch", next.epoch, 2)
      yield* same("the history", yield* store.read("s", s.incarnation, 1), users(1, 2))
    })
  ),

  trial("nobody claims a session while the lease of another holds", (store) =>
    Effect.gen(function* () {
      const running = { operationId: "o", kind: "shell" as const, since: 9 }
      yield* store.create(s)
      yield* store.append(claim(s, { running }))
      const before = yield* store.get("s")
      for (const epoch of [0, 1, 2]) {
        yield* refused("the claim", store.append(claim(s, { owner: "they", epoch, entries: users(1, 1) })), {
          _tag: "SessionOwned",
          session: "s",
          owner: "me",
          running
        })
      }
      yield* refused("a write by somebody else", store.append(keep(s, 1, { owner: "they" })), stale("epoch"))
      yield* same("the session", yield* store.get("s"), before)
      yield* same("its history", yield* store.read("s", s.incarnation, 1), [])
    })
  ),

  trial("an owner claims its own session again, under a new epoch", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      yield* store.append(claim(s))
      yield* same("the epoch", (yield* store.append(claim(s, { epoch: 1 }))).epoch, 2)
      yield* refused("a write under the earlier one", store.append(keep(s, 1)), stale("epoch"))
    })
  ),

  trial("a lease that has run out leaves the session to anybody, and its owner can write no more", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      yield* store.append(claim(s, { leaseFor: 1, entries: users(1, 1) }))
      yield* pass(10)
      yield* same("the session", yield* store.get("s"), fresh(s, { owner: "me", epoch: 1, nextSeq: 2 }))
      const next = yield* store.append(claim(s, { owner: "they", epoch: 1, expectedSeq: 2, entries: users(2, 1) }))
      yield* same("the next epoch", next.epoch, 2)
      yield* refused("a late write", store.append(keep(s, 3, { entries: users(3, 1) })), stale("epoch"))
      yield* refused("a late release", store.append(keep(s, 3, { lease: "release" })), stale("epoch"))
      yield* refused("a late claim", store.append(claim(s, { epoch: 1, expectedSeq: 3 })), {
        _tag: "SessionOwned",
        owner: "they"
      })
      yield* same("the history", yield* store.read("s", s.incarnation, 1), users(1, 2))
    })
  ),

  trial("an owner whose lease has run out writes on while nobody has claimed the session, and has it again", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      yield* store.append(claim(s, { leaseFor: 1 }))
      yield* pass(10)
      yield* store.append(keep(s, 1, { entries: users(1, 1) }))
      yield* same("whether it is leased", (yield* store.get("s"))?.leased, true)
    })
  ),

  trial("of two claims at once one is made", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      const both = yield* Effect.all(
        ["me", "they"].map((owner) => Effect.either(store.append(claim(s, { owner })))),
        { concurrency: "unbounded" }
      )
      yield* same("how many were made", both.filter((it) => it._tag === "Right").length, 1)
      yield* same("the epoch", (yield* store.get("s"))?.epoch, 1)
    })
  ),

  trial("an epoch that is not the session's is refused", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      yield* refused("a claim that follows none", store.append(claim(s, { epoch: 1 })), stale("epoch"))
      yield* refused("a write without a claim", store.append(keep(s, 1, { epoch: 0 })), stale("epoch"))
      yield* store.append(claim(s))
      for (const epoch of [0, 2]) {
        yield* refused(`a write under epoch ${epoch}`, store.append(keep(s, 1, { epoch })), stale("epoch"))
      }
      yield* refused(
        "a claim at another place",
        store.append(claim(s, { epoch: 1, expectedSeq: 2 })),
        stale("sequence")
      )
    })
  ),

  trial("a renewal prolongs the leases that are still the owner's, and tells which", (store) =>
    Effect.gen(function* () {
      const [kept, released, lost, again] = ["kept", "released", "lost", "again"].map((id) => session(id)) as [
        typeof s,
        typeof s,
        typeof s,
        typeof s
      ]
      for (const it of [kept, released, lost, again]) {
        yield* store.create(it)
        yield* store.append(claim(it, { leaseFor: 1 }))
      }
      yield* pass(10)
      yield* store.append(keep(released, 1, { lease: "release" }))
      yield* store.append(claim(lost, { owner: "they", epoch: 1 }))
      yield* store.append(claim(again, { epoch: 1, leaseFor: 1 }))
      const all = [lost, kept, released, again].map((it) => ({ ...keyOf(it), epoch: 1 }))
      yield* same("what is kept", yield* store.renew("me", all, long), ["kept"])
      yield* same("whether it is leased", (yield* store.get("kept"))?.leased, true)
      yield* refused("a claim of it", store.append(claim(kept, { owner: "they", epoch: 1 })), {
        _tag: "SessionOwned",
        owner: "me"
      })
      yield* same("a renewal of nothing", yield* store.renew("me", [], long), [])
      yield* same("the renewal of somebody else", yield* store.renew("they", all, long), [])
      yield* store.renew("me", [{ ...keyOf(kept), epoch: 1 }], 1)
      yield* pass(10)
      yield* same(
        "the epoch of whoever comes then",
        (yield* store.append(claim(kept, { owner: "they", epoch: 1 }))).epoch,
        2
      )
    })
  )
]
