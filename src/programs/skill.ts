/**
 * The operation `skill`: a prompt with a skill's instructions.
 */
import * as Effect from "effect/Effect"
import type { AnySchema, ContextOf, ValueOf } from "../services/AnySchema.js"
import * as Draft from "../services/Draft.js"
import type { UserPart } from "../services/Entry.js"
import { InvalidInput, SkillNotFound } from "../services/Errors.js"
import { cleanText } from "../services/Json.js"
import { nameProblem } from "../services/Skill.js"
import type { Reply, ResultError, SessionRef, SkillError, SkillOptions } from "../services/Session.js"
import type * as Tool from "../services/Tool.js"
import type { Needs } from "./engine.js"
import type { Operation } from "./held.js"
import { plainOptions } from "./input.js"
import { named, once } from "./once.js"
import { operation, type OperationSpec } from "./operation.js"
import { replyOf } from "./outcome.js"
import { checked, decodedReply, turns } from "./prompt.js"
import { requestOf } from "./request.js"
import { shown } from "./skillTools.js"
import { maxLook, prepare, skillsFolder } from "./workspace.js"

/**
 * Runs turns as a prompt does, with what the skill says when the operation begins: a later change of its file changes
 * nothing. Fails with `SkillNotFound`, and writes nothing, where neither the agent nor the workspace has it.
 */
export const skill = <
  R,
  const Tools extends ReadonlyArray<Tool.Listed> = [],
  Result extends AnySchema | undefined = undefined
>(
  ref: SessionRef<R>,
  name: string,
  given?: SkillOptions<Tools, Result>
): Effect.Effect<
  Reply<ValueOf<Result>>,
  SkillError | ResultError<Result>,
  R | Needs | Tool.Requirements<Tools[number]> | ContextOf<Result>
> =>
  Effect.suspend(() => {
    const badName = nameProblem(name)
    if (badName !== undefined) return new InvalidInput({ path: "name", reason: badName })
    const plain = plainOptions(given)
    if (plain instanceof InvalidInput) return plain
    const asked: unknown = plain?.args
    if (asked !== undefined && typeof asked !== "string") return new InvalidInput({ path: "args", reason: notText })
    const input = asked === undefined || asked.trim() === "" ? `Follow the skill ${name}.` : asked
    return checked(ref, input, plain, false, (content, wanted, options) => {
      const key = named("skill", options?.operationId, [name, content])
      const spec = {
        kind: "skill" as const,
        onBusy: (options as SkillOptions | undefined)?.onBusy,
        named: key,
        request: { ...requestOf(options, wanted), skill: cleanText(name) },
        prepare: prepareWith(ref, name, content)
      }
      const ran = operation(ref, spec, (running: Operation) => turns(running, options, wanted, undefined, undefined))
      return once(ref, "skill", key, ran, (past) =>
        Effect.flatMap(replyOf(past), (reply) => decodedReply(reply, wanted))
      )
    })
  }) as Effect.Effect<
    Reply<ValueOf<Result>>,
    SkillError | ResultError<Result>,
    R | Needs | Tool.Requirements<Tools[number]> | ContextOf<Result>
  >

/** Finds the skill; what it says goes before what it is asked for. */
const prepareWith =
  (
    ref: SessionRef<unknown>,
    name: string,
    content: ReadonlyArray<UserPart>
  ): NonNullable<OperationSpec<never, SkillNotFound>["prepare"]> =>
  (engine, told) => {
    const known = prepare(ref, engine, told)
    if (known === undefined) return new SkillNotFound({ skill: cleanText(name), known: [] })
    return Effect.flatMap(known, ({ first, skills, view }) => {
      const found = skills.get(name)
      if (found === undefined) {
        const isListed = view.skills.some((it) => it.name === name)
        const its = view.skipped.find(({ path }) => `/${path}/`.includes(`/${skillsFolder}/${name}/`))
        // One that is listed as it was before could not be read now.
        const reason = (its ?? (isListed ? view.skipped.at(-1) : undefined))?.reason
        return new SkillNotFound({ skill: cleanText(name), known: [...skills.keys()].toSorted(), reason })
      }
      // The session is held meanwhile, and no deadline of a tool call is near.
      const files = Effect.timeoutFail(Effect.disconnect(found.files), { duration: maxLook, onTimeout: () => late })
      return Effect.map(shown(found, files), (body) => ({
        skills,
        first: [...first, Draft.user([{ type: "text", text: body, note: true }, ...content])]
      }))
    })
  }

const late = { reason: `they were not within ${maxLook / 1_000} s` }

const notText = "it is not a text"
