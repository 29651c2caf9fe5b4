/** The policy that a new controller begins with. */

/** The policy of a new controller: this operator may do everything. YAML with comments that explain the grammar. */
export function initialPolicy(operator: string): string {
  return `# Who may do what on which hosts. What no rule allows is denied.
#
# A change is in force as soon as it is saved; one with a mistake is not, and the policy before it stays in force.
# \`outpost policy check FILE\` finds mistakes, \`outpost policy explain OPERATOR ACTION TARGETS\` says what is decided, and why.
#
# Of each rule:
#   name            its own; decisions and the audit log name it
#   operators       names, patterns like "*@example.org", and groups like "@deployers"
#   actions         invoke, session.open, job.stop, …; patterns like "job.*"; "*" is all of them
#   targets         hosts, as on the command line: "web1,db*,role=web". Without it: all hosts.
#   configurations  those of the hosts that may be used. Without it: default alone.
#   users           users of the hosts whom commands may be run as by name. Without it: nobody is chosen by name.
#   effect          allow, or deny: a rule that denies wins over all that allow. Without it: allow.
#
# Whoever started a job or opened a session may see, stop, control and remove it without a rule.

# groups:
#   deployers: [ada, grace]

rules:
  - name: admins
    operators: [${JSON.stringify(operator)}]
    actions: ["*"]
    configurations: ["*"]
    users: ["*"]

#  - name: deployers
#    operators: ["@deployers"]
#    actions: [host.list, invoke, job.*, session.*]
#    targets: role=web
#
#  - name: production stays up
#    operators: ["*"]
#    actions: [job.stop, session.remove]
#    targets: stage=production
#    effect: deny
`;
}
