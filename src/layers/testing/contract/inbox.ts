import * as Effect from "effect/Effect"
import { texts } from "./entries.js"
import { type Case, refused, same, trial } from "./expect.js"
import { claim, input, keep, keyOf, session } from "./values.js"

const s = session("s")
const key = keyOf(s)

export const inbox: ReadonlyArray<Case> = [
  trial("inputs wait in the order in which they came, and come back as they were", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      yield* same("an inbox that holds nothing", yield* store.waiting(key), [])
      const items = [
        input("z", { when: "steer" }),
        input("a", { when: "followUp", content: [], request: {} }),
        input("😀 '", { content: texts.map((text) => ({ type: "text", text })) }),
        input("i", { content: [{ type: "image", mediaType: "image/png", data: "AA==" }] })
      ]
      for (const item of items) yield* store.put(key, item)
      yield* same("what waits", yield* store.waiting(key), items)
      yield* same("how often something came", (yield* store.get("s"))?.inbox, 4)
      yield* same("what waits for another incarnation", yield* store.waiting({ id: "s", incarnation: "x" }), [])
    })
  ),

  trial("an input that is there already stays as it is", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      yield* store.put(key, input("a"))
      yield* store.put(key, input("b"))
      yield* store.put(key, input("a", { content: [], at: 1 }))
      yield* same("what waits", yield* store.waiting(key), [input("a"), input("b")])
      yield* same("how often something came", (yield* store.get("s"))?.inbox, 2)
    })
  ),

  trial("inputs of several sessions do not mix", (store) =>
    Effect.gen(function* () {
      const other = session("other")
      for (const it of [s, other]) yield* store.create(it)
      yield* store.put(key, input("a"))
      yield* store.put(keyOf(other), input("a", { at: 2 }))
      yield* same("what is withdrawn", yield* store.withdraw(key, "a"), true)
      yield* same("what waits here", yield* store.waiting(key), [])
      yield* same("what waits there", yield* store.waiting(keyOf(other)), [input("a", { at: 2 })])
    })
  ),

  trial("an input is withdrawn once", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      for (const id of ["a", "b", "c"]) yield* store.put(key, input(id))
      yield* same("the first time", yield* store.withdraw(key, "b"), true)
      yield* same("the second time", yield* store.withdraw(key, "b"), false)
      yield* same("one that was never there", yield* store.withdraw(key, "x"), false)
      yield* same("one of another incarnation", yield* store.withdraw({ id: "s", incarnation: "x" }, "a"), false)
      yield* same("what waits", yield* store.waiting(key), [input("a"), input("c")])
      yield* same("how often something came", (yield* store.get("s"))?.inbox, 3)
    })
  ),

  trial("a write takes the inputs out that it delivers, if it is made", (store) =>
    Effect.gen(function* () {
      yield* store.create(s)
      for (const id of ["a", "b", "c"]) yield* store.put(key, input(id))
      yield* same("what the claim tells", yield* store.append(claim(s)), { epoch: 1, inbox: 3 })
      yield* refused("a write at another place", store.append(keep(s, 2, { delivered: ["a"] })), {
        _tag: "StaleLease",
        reason: "sequence"
      })
      yield* same("how many wait", (yield* store.waiting(key)).length, 3)
      yield* refused("one of what is not there", store.append(keep(s, 1, { delivered: ["c", "gone"] })), {
        _tag: "StaleLease",
        reason: "delivered"
      })
      yield* same("what is still there", yield* store.waiting(key), [input("a"), input("b"), input("c")])
      yield* same("what the write tells", yield* store.append(keep(s, 1, { delivered: ["c", "a"] })), {
        epoch: 1,
        inbox: 3
      })
      yield* same("what waits", yield* store.waiting(key), [input("b")])
      yield* store.put(key, input("d"))
      yield* same("what the next write tells", (yield* store.append(keep(s, 1))).inbox, 4)
    })
  ),

  trial("an input for a session that is not there is refused", (store) =>
    Effect.gen(function* () {
      yield* refused("the input", store.put(key, input("a")), { _tag: "StaleLease", session: "s", reason: "removed" })
      yield* store.create(s)
      yield* refused("one for another incarnation", store.put({ id: "s", incarnation: "x" }, input("a")), {
        _tag: "StaleLease",
        reason: "removed"
      })
      yield* same("what is unsettled", yield* store.unsettled, [])
    })
  )
]
