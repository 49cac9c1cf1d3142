/**
 * What sessions take, and what is told when they are removed.
 */
import * as Effect from "effect/Effect"
import type { Entry } from "../../../services/Entry.js"
import { type Case, same, trial } from "./expect.js"
import { texts } from "./entries.js"
import { claim, keep, keyOf, session, user, users } from "./values.js"

const bytesOf = (entries: ReadonlyArray<Entry>): number =>
  entries.reduce((sum, entry) => sum + new TextEncoder().encode(JSON.stringify(entry)).length, 0)

const takes = (entries: ReadonlyArray<Entry>) => ({ entries: entries.length, bytes: bytesOf(entries) })

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
      yield* same("what was removed", removed, [{ ...keyOf(a), ...takes(odd) }])
      yield* same(
        "the measure without it",
        (yield* store.measure).map(({ row, ...it }) => [row.id, it]),
        ["child", "b", "c", "d"].map((id, i) => [id, expected[i + 1]])
      )
      const rest = yield* store.remove([keyOf(b), keyOf(c), keyOf(child)], "me")
      yield* same(
        "what was removed then",
        rest.toSorted((x, y) => (x.id < y.id ? -1 : 1)),
        [
          { ...keyOf(b), ...takes(users(4, 2)) },
          { ...keyOf(c), ...takes([]) },
          { ...keyOf(child), ...takes([]) }
        ]
      )
      yield* same("a second removal", yield* store.remove([keyOf(b)], "me"), [])
      yield* same("a removal twice at once", yield* store.remove([keyOf(session("d")), keyOf(session("d"))], "me"), [
        { ...keyOf(session("d")), ...takes([]) }
      ])
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
