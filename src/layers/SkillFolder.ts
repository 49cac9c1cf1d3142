/**
 * Skills that a program brings along as folders of this machine.
 */
import * as path from "node:path"
import * as Effect from "effect/Effect"
import { type FolderProblem, readSkill } from "../programs/skillFolder.js"
import { InvalidSkill } from "../services/Errors.js"
import type { Skill } from "../services/Skill.js"
import { confine } from "./sandbox/confine.js"

/**
 * The skill of a folder with a `SKILL.md`, by the rules of agentskills.io: its name is the folder's. What it says is read
 * now; its files are read when they are asked for, and only from inside of the folder, by whatever links they are named.
 */
export const load = (folder: string): Effect.Effect<Skill, InvalidSkill> => {
  const root = path.resolve(folder)
  const wrong = ({ path: at, reason }: FolderProblem) => new InvalidSkill({ path: path.join(folder, at), reason })
  const confined = Effect.mapError(confine(root), ({ reason }) => wrong({ path: "", reason }))
  return Effect.flatMap(confined, (files) => {
    const read = readSkill(
      {
        read: (at, { cwd, ...range } = {}) => files.read({ path: at, cwd }, range),
        stat: (at, cwd) => files.stat({ path: at, cwd }),
        list: (at, cwd) => files.list({ path: at, cwd }),
        place: (at, cwd) => files.place({ path: at, cwd })
      },
      ".",
      path.basename(root)
    )
    return Effect.flatMap(Effect.mapError(read, wrong), (skill) =>
      skill === undefined ? wrong({ path: "SKILL.md", reason: "there is no such file" }) : Effect.succeed(skill)
    )
  })
}
