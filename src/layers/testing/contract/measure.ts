/**
 * What sessions take, and what is told when they are removed.
 */
import * as Effect from "effect/Effect"
import type { Entry } from "../../../services/Entry.js"
import type { Begun, NewSession } from "../../../services/SessionStore.js"
import { type Case, same, trial } from "./expect.js"
import { texts } from "./entries.js"
import { claim, keep, keyOf, session, user, users } from "./values.js"

const bytesOf = (entries: ReadonlyArray<Entry>): number =>
  entries.reduce((sum, entry) => sum + new TextEncoder().encode(JSON.stringify(entry)).length, 0)

const takes = (entries: ReadonlyArray<Entry>) => ({ entries: entries.length, bytes: bytesOf(entries) })

const nothing = { entries: 0, bytes: 0 }

const add = (a: typeof nothing, b: typeof nothing) => ({ entries: a.entries + b.entries, bytes: a.bytes + b.bytes })

/** Every order of these. */
const orders = <A>(of: ReadonlyArray<A>): ReadonlyArray<ReadonlyArray<A>> =>
  of.length === 0 ? [[]] : of.flatMap((it, i) => orders(of.toSpliced(i, 1)).map((rest) => [it, ...rest]))

export const measure: ReadonlyArray<Case> = [
  trial("a measure has every session with what is stored for it alone, oldest first", (store) =>
    Effect.gen(function* () {
      yield* same("the measure of nothing", yield* store.measure, [])
      const a = session("a")
      const odd = texts.map((text, i) => user(i + 1, text))
      yield* store.create(a)
      const child = session("child", { parent: "a", depth: 1, createdAt: 1_700_000_000_500 })
      yield* store.append(claim(a, { entries: odd, children: [child] }))
      const b = session("b")
      const base = (seq: number) => ({ ...keyOf(a), seq })
      yield* store.begin([{ session: b, base: base(3), entries: users(4, 2) }])
      const c = session("c", { createdAt: 5 })
      yield* store.begin([{ session: c, base: { ...keyOf(b), seq: 4 }, entries: [] }])
      yield* store.begin([{ session: session("d"), base: base(2), entries: [] }])
      const expected = [
        { activeAt: odd.at(-1)!.at, ...takes(odd) },
        { activeAt: child.createdAt, ...takes([]) },
        { activeAt: user(5).at, ...takes(users(4, 2)) },
        { activeAt: user(4).at, ...takes([]) },
        { activeAt: odd[1]!.at, ...takes([]) }
      ]
      const told = (yield* store.measure).map(({ row, ...it }) => [row.id, it])
      yield* same(
        "the measure",
        told,
        ["a", "child", "b", "c", "d"].map((id, i) => [id, expected[i]])
      )
      yield* same("a row", (yield* store.measure)[2]?.row, yield* store.get("b"))

      const removed = yield* store.remove([keyOf(a), { id: "nobody", incarnation: "x" }], "me")
      yield* same("what was removed", removed, { sessions: [keyOf(a)], ...takes(odd.slice(3)) })
      const heir = { activeAt: user(5).at, ...takes([...odd.slice(0, 3), ...users(4, 2)]) }
      yield* same(
        "the measure without it",
        (yield* store.measure).map(({ row, ...it }) => [row.id, it]),
        ["child", "b", "c", "d"].map((id, i) => [id, id === "b" ? heir : expected[i + 1]])
      )
      const rest = yield* store.remove([keyOf(b), keyOf(c), keyOf(child)], "me")
      yield* same(
        "what was removed then",
        { ...rest, sessions: rest.sessions.map(({ id }) => id).toSorted() },
        { sessions: ["b", "c", "child"], ...takes([odd[2]!, ...users(4, 2)]) }
      )
      yield* same("a second removal", yield* store.remove([keyOf(b)], "me"), { sessions: [], ...takes([]) })
      const d = keyOf(session("d"))
      yield* same("a removal twice at once", yield* store.remove([d, d], "me"), {
        sessions: [d],
        ...takes(odd.slice(0, 2))
      })
    })
  ),

  trial("each entry that is stored counts once, and a removal says what is not stored any more", (store) =>
    Effect.gen(function* () {
      const family = ["a", "b", "c", "d", "e"].map((id) => session(id))
      const [a, b, c, d, e] = family as [NewSession, NewSession, NewSession, NewSession, NewSession]
      const from = (base: NewSession, seq: number) => ({ ...keyOf(base), seq })
      const begun: ReadonlyArray<Begun> = [
        { session: a, base: null, entries: users(1, 6) },
        { session: b, base: from(a, 2), entries: users(3, 1) },
        { session: c, base: from(a, 4), entries: users(5, 3) },
        { session: d, base: from(c, 6), entries: users(7, 1) },
        { session: e, base: from(d, 3), entries: [] }
      ]
      const all = { entries: 11, bytes: bytesOf([...users(1, 6), ...users(3, 1), ...users(5, 3), ...users(7, 1)]) }
      // Some of the 120: to a database each is a hundred statements.
      for (const order of orders(family).filter((_, i) => i % 13 === 0)) {
        for (const it of begun) yield* store.begin([it])
        let left = all
        for (const [i, it] of order.entries()) {
          const measured = yield* store.measure
          const sum = measured.reduce((to, { bytes, entries }) => add(to, { bytes, entries }), nothing)
          const names = order.map(({ id }) => id).join(", ")
          yield* same(`what is left of ${names} before removal ${i + 1}`, sum, left)
          const { sessions, ...went } = yield* store.remove([keyOf(it)], "me")
          yield* same("who was removed", sessions, [keyOf(it)])
          left = { entries: left.entries - went.entries, bytes: left.bytes - went.bytes }
        }
        yield* same("what is left in the end", left, nothing)
      }
    })
  ),

  trial("a measure of a long history and of many sessions misses nothing", (store) =>
    Effect.gen(function* () {
      const s = session("s")
      yield* store.create(s)
      yield* store.append(claim(s, { entries: users(1, 2500) }))
      const children = Array.from({ length: 1100 }, (_, i) => session(`child ${i}`, { parent: "s", depth: 1 }))
      yield* store.append(keep(s, 2501, { children }))
      yield* store.append(claim(children[1099]!, { entries: users(1, 1) }))
      const all = yield* store.measure
      yield* same("how many there are", all.length, 1101)
      const { row: _, ...first } = all[0]!
      yield* same("the long one", first, { activeAt: user(2500).at, ...takes(users(1, 2500)) })
      yield* same("the last one", [all[1100]?.row.id, all[1100]?.entries], ["child 1099", 1])
    })
  )
]
