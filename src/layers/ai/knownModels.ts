/**
 * Limits of well-known models, as their providers tell them. A model that is not in a table has none: a name that is
 * merely like a known one may be another model.
 */
import type { ModelInfo } from "../../services/Model.js"

type Families = ReadonlyArray<readonly [name: RegExp, limits: ModelInfo]>

/**
 * From the models' pages at platform.claude.com/docs, as they stood in November 2026; Opus 4 and 4.1 and Sonnet 4 as they
 * stood in 2025. Without beta headers, so 200,000 where a million is to be asked for.
 */
const anthropicFamilies: Families = [
  [/^claude-(opus-5|sonnet-5|(opus|sonnet|haiku)-5-5)(-\d{8})?$/, { contextWindow: 1_000_000, maxOutput: 128_000 }],
  [/^claude-(opus|sonnet|haiku)-4-5(-\d{8})?$/, { contextWindow: 200_000, maxOutput: 64_000 }],
  [/^claude-sonnet-4(-0|-\d{8})?$/, { contextWindow: 200_000, maxOutput: 64_000 }],
  [/^claude-opus-4(-[01])?(-\d{8})?$/, { contextWindow: 200_000, maxOutput: 32_000 }]
]

/**
 * From the models' pages at platform.openai.com/docs/models, as they stood at the end of 2025; gpt-5.4 and 5.5 as
 * resellers told them in 2026. The window holds what is sent and what comes back together.
 */
const openaiFamilies: Families = [
  [/^gpt-5\.[45](-\d{4}-\d\d-\d\d)?$/, { contextWindow: 1_050_000, maxOutput: 128_000 }],
  [/^gpt-5(-mini|-nano|(\.1)?(-codex)?)(-\d{4}-\d\d-\d\d)?$/, { contextWindow: 400_000, maxOutput: 128_000 }],
  [/^gpt-4\.1(-mini|-nano)?(-\d{4}-\d\d-\d\d)?$/, { contextWindow: 1_047_576, maxOutput: 32_768 }],
  [/^gpt-4o(-mini)?$/, { contextWindow: 128_000, maxOutput: 16_384 }],
  [/^(o3|o3-mini|o4-mini)(-\d{4}-\d\d-\d\d)?$/, { contextWindow: 200_000, maxOutput: 100_000 }]
]

const find =
  (families: Families) =>
  (model: string): ModelInfo | undefined =>
    families.find(([name]) => name.test(model))?.[1]

/** Of a model of Anthropic's by its name. */
export const anthropic = find(anthropicFamilies)

/** Of a model of OpenAI's by its name. */
export const openai = find(openaiFamilies)
