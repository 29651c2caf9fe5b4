/**
 * Environment variables that an operator may not set.
 *
 * Under an allow-list none by which a program that was allowed runs or loads something else: the dynamic loader's
 * (glibc's `unsecvars.h`, macOS's `DYLD_*`), those that shells, interpreters and build tools take code, options or
 * start-up files from, those that name another program to run, and those that say where configuration is read from
 * (compare `env_delete` in sudoers(5)). Even with `acceptEnv: ["*"]`. The list cannot be complete, as programs invent such
 * names; so without `acceptEnv` an allow-list lets no variable be set at all.
 */

const unsafe: readonly RegExp[] = [
  // The dynamic loader and the C library.
  /^(?:LD|DYLD|_RLD|LDR|MALLOC|GLIBC|GCONV|GETCONF|RES|NIS)_/,
  /^(?:LIBPATH|SHLIB_PATH|HOSTALIASES|LOCALDOMAIN|LOCPATH|NLSPATH|RESOLV_HOST_CONF|TZDIR|TMPDIR|TMP|TEMP)$/,
  // Shells.
  /^(?:PATH|IFS|ENV|CDPATH|FPATH|SHELLOPTS|BASHOPTS|PS4|PROMPT_COMMAND|GLOBIGNORE|ZDOTDIR|HISTFILE|FIGNORE)$/,
  /^BASH_/,
  // Who one is and where one lives: start-up files are found by these.
  /^(?:HOME|USER|LOGNAME|SHELL|PWD|OLDPWD|MAIL)$/,
  /^(?:XDG|OUTPOST|SUDO|DBUS|SYSTEMD|SSH|KRB5)_/,
  // Interpreters and what they load at start.
  /^(?:PYTHON|PERL|RUBY|NODE_|LUA_|PHP|JAVA_|_JAVA_|JDK_|CLASSPATH$|DOTNET_|CORECLR_|COMPLUS_|JULIA_|ERL_|GUILE_|TCLLIBPATH$)/,
  /^(?:CAML|OCAML|R_|GOFLAGS$|GOENV$|GOROOT$|GOPATH$|RUST|CARGO_)/,
  /^(?:GEM|BUNDLE|BUNDLER|NPM|PNPM|YARN|PIP|UV|POETRY|CONDA|MAVEN|GRADLE|M2|ANT|COMPOSER|DENO|BUN)_/,
  /^npm_/i,
  // Programs that take options, hooks, servers or other programs from the environment.
  /^(?:GIT|HG|SVN|CVS|RSYNC|TAR|CURL|WGET|GPG|GNUPG|OPENSSL|SSL|MYSQL|REDIS|DOCKER|PODMAN|CONTAINERS|HELM|TF|ANSIBLE|VAULT|AWS|GOOGLE|AZURE|NOMAD|CONSUL)_/,
  /^(?:LESS|MAKE|AWK|TERM|TEXMF|VIM|KUBE)/,
  /^PG(?:HOST|PORT|DATABASE|USER|PASS|SERVICE|SYSCONF|OPTIONS|SSL)/,
  /^(?:EDITOR|VISUAL|PAGER|MANPAGER|BROWSER|MAILER|FCEDIT|INPUTRC|GZIP|BZIP2|XZ_OPT|UNZIP|ZIPOPT|GREP_OPTIONS|DISPLAY|WAYLAND_DISPLAY)$/,
  /(?:_ASKPASS|_PAGER|_EDITOR|_PRELOAD|_OPTIONS|_OPTS|_PLUGINS?|_LIBRARY_PATH|_CONFIG|_CONFIG_FILE|_CONF|_HOME|_HOOKS?|_COMMAND|_PATH)$/,
];

/** `TERM` says what a terminal can do; where it is described is what the others of its kind say. */
const harmless: ReadonlySet<string> = new Set(["TERM"]);

/** Whether a program that was allowed could be made to run something else by it. */
export function isUnsafeVariable(name: string): boolean {
  if (harmless.has(name)) return false;
  return !isIdentifier(name) || unsafe.some((pattern) => pattern.test(name));
}

/** What POSIX lets a name be, and a shell can set: letters, digits and `_`. */
function isIdentifier(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** Names that a shell keeps for itself: it takes no value for them from elsewhere. */
const shells: ReadonlySet<string> = new Set([
  "UID",
  "EUID",
  "GID",
  "EGID",
  "GROUPS",
  "PPID",
  "SHELLOPTS",
  "BASHOPTS",
  "OPTIND",
  "LINENO",
  "FUNCNAME",
  "DIRSTACK",
  "IFS",
]);

/** Whether a shell passes it on as it is: the variables of what runs as another user are set by one. */
export function isPassable(name: string): boolean {
  return isIdentifier(name) && !shells.has(name) && !name.startsWith("BASH_");
}
