/**
 * The house plan as tables: which folder of src may import which (layers), and which folders a third-party
 * package may enter through (doors). Everything the tables do not allow is a fault, so a new folder or a new
 * package has to be entered here, in review, before it can be used.
 */

/** A folder of src, or one file or sub-folder of it, with what it may import from the other folders. */
interface Layer {
  readonly folder: string
  readonly mayImport: readonly string[]
  /** False where the code must also run in a browser: no `node:*`. */
  readonly mayUseNode: boolean
}

/** A package pattern (`*` stands for any end) and the path prefixes under src whose code may import it. */
interface Door {
  readonly packages: readonly string[]
  readonly folders: readonly string[]
  /** Path prefixes that may import only its types. */
  readonly typesIn?: readonly string[]
}

const features = ['files', 'vault', 'memory', 'transport', 'discovery', 'media', 'accel'] as const

/** What a peer can be asked, as types. */
const api = [
  'peer/api.ts',
  'peer/api-pairing.ts',
  'peer/api-device.ts',
  'peer/api-spaces.ts',
  'peer/api-part.ts',
  'peer/api-vaults.ts',
  'peer/api-console.ts',
  'peer/api-calls.ts',
  'peer/api-clipboard.ts',
] as const

/** The first entry whose folder holds the file decides, so exceptions stand before their folder. */
export const layers: readonly Layer[] = [
  { folder: 'base', mayImport: [], mayUseNode: false },
  { folder: 'crdt', mayImport: ['base'], mayUseNode: true },
  { folder: 'blobs', mayImport: ['base'], mayUseNode: true },
  { folder: 'files', mayImport: ['crdt', 'blobs', 'base'], mayUseNode: true },
  { folder: 'vault', mayImport: ['blobs', 'base'], mayUseNode: true },
  { folder: 'memory', mayImport: ['crdt', 'base'], mayUseNode: true },
  { folder: 'transport', mayImport: ['base'], mayUseNode: true },
  { folder: 'discovery', mayImport: ['base'], mayUseNode: true },
  { folder: 'media', mayImport: ['base'], mayUseNode: true },
  { folder: 'accel', mayImport: ['base'], mayUseNode: true },
  // What a command and the running peer share: where a home is, how to talk to it. Light: no codec, no package.
  {
    folder: 'program',
    mayImport: ['base', ...api],
    mayUseNode: true,
  },
  // The process entry also starts the web console beside the peer.
  {
    folder: 'peer/daemon.ts',
    mayImport: [...features, 'crdt', 'blobs', 'program', 'base', 'console'],
    mayUseNode: true,
  },
  { folder: 'peer', mayImport: [...features, 'crdt', 'blobs', 'program', 'base'], mayUseNode: true },
  // The page runs in a browser and keeps its own replica.
  {
    folder: 'console/web',
    mayImport: ['base', 'crdt', ...api],
    mayUseNode: false,
  },
  {
    folder: 'console',
    mayImport: ['base', ...api, 'program'],
    mayUseNode: true,
  },
  {
    folder: 'cli',
    mayImport: ['base', ...api, 'program'],
    mayUseNode: true,
  },
]

/** The first entry whose pattern matches decides, so a single package stands before its scope. */
export const doors: readonly Door[] = [
  { packages: ['uint8arrays'], folders: [''] },
  { packages: ['cbor-x', 'cborg'], folders: ['base'] },
  { packages: ['yjs', 'y-protocols', 'lib0'], folders: ['crdt'] },
  { packages: ['level'], folders: ['crdt', 'blobs'] },
  { packages: ['@napi-rs/blake-hash'], folders: ['blobs', 'files'] },
  { packages: ['@napi-rs/xattr'], folders: ['files'] },
  { packages: ['@libp2p/mdns', 'dns-packet'], folders: ['discovery'] },
  { packages: ['@libp2p/interface'], folders: ['transport'], typesIn: ['discovery'] },
  { packages: ['@libp2p/crypto', '@libp2p/peer-id'], folders: ['transport', 'peer/auth'] },
  {
    packages: ['libp2p', 'uint8arraylist', '@libp2p/*', '@chainsafe/*', '@multiformats/*', 'werift'],
    folders: ['transport'],
  },
  { packages: ['jose', '@noble/*', 'prom-client'], folders: ['peer'] },
  { packages: ['x11'], folders: ['media/clipboard'] },
  { packages: ['lean-qr'], folders: ['cli', 'console/web'] },
  { packages: ['commander'], folders: ['cli'] },
  { packages: ['preact', 'uplot'], folders: ['console/web'] },
]
