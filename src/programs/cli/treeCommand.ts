/**
 * The command `tree`.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { draw, historyTree } from "../historyTree.js"
import { jsonLine } from "../render.js"
import type { Executable } from "./Executable.js"
import type { HistoryGiven } from "./options.js"
import { lineWidth, show } from "./screen.js"
import { overStore } from "./stored.js"

interface TreeGiven extends HistoryGiven {
  readonly depth: Option.Option<number>
}

export const treeCommand = <E>(executable: Executable<E>, given: TreeGiven) =>
  overStore(
    executable,
    given,
    Effect.gen(function* () {
      const tree = yield* historyTree(given.session, { depth: Option.getOrUndefined(given.depth) })
      yield* show(given.json ? [jsonLine(tree)] : draw(tree, { width: yield* lineWidth }))
    })
  )
