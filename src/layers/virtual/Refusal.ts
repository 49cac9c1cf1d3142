/** Why something is not done, in words for the one who asked. */
export class Refusal extends Error {}
