/** What a policy's YAML looks like. What it means is in `rule.ts`. */
import * as v from "valibot";

/** The most rules of a policy. Each is looked at for each host that a request is about. */
const maxRules = 1_000;

/** The most names in one list. */
const maxNames = 10_000;

const OperatorPattern = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z0-9*?][A-Za-z0-9._+@*?-]{0,63}$/,
    "is not an operator's name or pattern (A-Z a-z 0-9 . _ + @ - and * ?)",
  ),
);
const GroupName = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z][A-Za-z0-9_-]{0,62}$/,
    "is not a group's name (A-Z a-z 0-9 _ -, beginning with a letter)",
  ),
);
/** Operators' names begin with no `@`. Whether the group is there is looked at where the groups are known. */
const OperatorOrGroup = v.pipe(
  v.string(),
  v.regex(
    /^(?:@.*|[A-Za-z0-9*?][A-Za-z0-9._+@*?-]{0,63})$/,
    "is not an operator's name or pattern (A-Z a-z 0-9 . _ + @ - and * ?), nor a @group",
  ),
);
const ConfigurationPattern = v.pipe(
  v.string(),
  v.regex(
    /^[a-z0-9*?][a-z0-9._*?-]{0,62}$/,
    "is not a configuration's name or pattern (a-z 0-9 . _ - and * ?)",
  ),
);
const UserPattern = v.pipe(
  v.string(),
  v.regex(
    /^[A-Za-z_*?][A-Za-z0-9_.*?-]{0,31}\$?$/,
    "is not a user's name or pattern (A-Z a-z 0-9 _ . - and * ?)",
  ),
);

/** What decides when no rule does; a rule of that name could not be told from it. */
const reserved: ReadonlySet<string> = new Set(["owner", "default", "none"]);
const RuleName = v.pipe(
  v.string(),
  v.regex(
    /^[^\s\p{C}](?:[^\p{C}]{0,62}[^\s\p{C}])?$/u,
    "is not a rule's name (1 to 64 characters on one line)",
  ),
  v.check((name) => !reserved.has(name), "is no name for a rule: what no rule decides is called so"),
);

/** A list with nothing in it would say something else than no list, and be mistaken for it. */
const listOf = <const S extends v.GenericSchema<unknown, string>>(item: S) =>
  v.pipe(
    v.array(item),
    v.minLength(1, "must not be empty; leave the key out for its default"),
    v.maxLength(maxNames, `must not have more than ${String(maxNames)} entries`),
  );

export type RuleEntry = v.InferOutput<typeof RuleEntry>;
export const RuleEntry = v.strictObject({
  name: RuleName,
  /** Names, patterns, and groups as `@name`. */
  operators: listOf(OperatorOrGroup),
  /** Actions, and patterns of them. */
  actions: listOf(v.string()),
  /** A target expression. Default `*`. */
  targets: v.optional(v.string(), "*"),
  /** Default: of what allows, `default` alone; of what denies, all. */
  configurations: v.optional(listOf(ConfigurationPattern)),
  /** Default: of what allows, that nobody is asked for by name; of what denies, whoever. */
  users: v.optional(listOf(UserPattern)),
  effect: v.optional(v.picklist(["allow", "deny"]), "allow"),
});

export type PolicyFile = v.InferOutput<typeof PolicyFile>;
export const PolicyFile = v.strictObject({
  groups: v.optional(v.record(GroupName, v.pipe(v.array(OperatorPattern), v.maxLength(maxNames))), {}),
  rules: v.pipe(
    v.array(RuleEntry),
    v.maxLength(
      maxRules,
      `must not be more than ${String(maxRules)}; name operators in groups, and hosts by labels`,
    ),
  ),
});
