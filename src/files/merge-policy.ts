/**
 * Which files may be merged by themselves, by path alone: never what a program writes as one piece (lock files, generated
 * files, version control's own), never what opens doors (keys, credentials, .env), where a wrong line costs more than
 * a conflict copy. Everything else is judged by its content (merge-contents.ts).
 */

export type MergeKind =
  | 'never'
  | 'lines'
  /** Lines first, but the result must be JSON; else by structure. */
  | 'json'

/** What lies in one of these belongs to a program or guards something. */
const closedDirectories = new Set([
  '.git',
  '.hg',
  '.svn',
  '.jj',
  '.bzr',
  '.ssh',
  '.gnupg',
  '.aws',
  '.kube',
  '.docker',
  '.azure',
  '.password-store',
  'node_modules',
  '__pycache__',
])

const neverNames = new Set([
  'package-lock.json',
  'npm-shrinkwrap.json',
  'pnpm-lock.yaml',
  'packages.lock.json',
  'bun.lockb',
  'go.sum',
  'go.work.sum',
  'authorized_keys',
  'known_hosts',
  'credentials',
  'passwd',
  'shadow',
  'sudoers',
  '.netrc',
  '_netrc',
  '.npmrc',
  '.yarnrc',
  '.pypirc',
  '.pgpass',
  '.my.cnf',
  '.htpasswd',
  '.git-credentials',
  '.vault-token',
])

const neverExtensions = new Set(
  (
    'lock lockfile lck pid sum md5 sha1 sha256 sha512 sig minisig asc gpg pgp pem key crt cer csr der p7b p8 p12 pfx ppk ' +
    'jks keystore kdbx kdb ovpn age secret secrets env map patch diff rej orig pdf ps eps rtf svg uu b64 db sqlite ' +
    'pbxproj xib storyboard eml mbox'
  ).split(' '),
)

const neverPatterns = [
  /^\.env/,
  /\.env\./,
  /^id_(?:rsa|dsa|ecdsa|ed25519|xmss)/,
  /\.min\.[a-z]+$/,
  /\.lock\.[a-z]+$/,
  /^secrets?\./,
  /^credentials?\./,
  /^client_secret/,
  /^service-account.*\.json$/,
  /\.tfstate/,
  /\.tfvars/,
]

const jsonExtensions = new Set([
  'json',
  'jsonc',
  'json5',
  'webmanifest',
  'code-workspace',
  'geojson',
  'ipynb',
])
const jsonNames = new Set(['.babelrc', '.swcrc', '.jshintrc'])

/** @param path below the folder's root, parts separated by '/'. */
export function mergeKindOf(path: string): MergeKind {
  const parts = path.toLowerCase().split('/')
  const name = parts.pop() ?? ''
  if (parts.some((part) => closedDirectories.has(part))) return 'never'
  if (neverNames.has(name) || neverPatterns.some((pattern) => pattern.test(name))) return 'never'
  const extension = name.slice(name.lastIndexOf('.') + 1)
  if (name.includes('.') && neverExtensions.has(extension)) return 'never'
  return jsonExtensions.has(extension) || jsonNames.has(name) ? 'json' : 'lines'
}
