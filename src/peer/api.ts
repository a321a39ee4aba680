/**
 * What a running peer can be asked, as types: each verb with its parameters and its result or the items it streams.
 * The CLI, the console and the control socket share this file and its neighbours and nothing else, so it holds
 * no code and imports only types. Text in results that came from other devices (names, addresses) is not escaped
 * here: whoever shows it does that.
 */
import type { DeviceId, MeshId, PeerId } from '../base/ids.ts'
import type { LogLevel } from '../base/log.ts'
import type {
  PairParams,
  PairEvent,
  PairConfirmParams,
  PairJoinParams,
  PairJoinEvent,
} from './api-pairing.ts'
import type { Role, DeviceKind } from './api-device.ts'
import type * as clip from './api-clipboard.ts'
import type { ConsoleLink, ConsoleOpenParams, ConsoleSession } from './api-console.ts'
import type * as part from './api-part.ts'
import type * as spaces from './api-spaces.ts'
import type * as vaults from './api-vaults.ts'
import type { SpaceStatus } from './api-spaces.ts'

export type { ClipItem } from './api-clipboard.ts'
export type { SpaceStatus } from './api-spaces.ts'

export type NoParams = Readonly<Record<string, never>>

// --- status -----------------------------------------------------------------------------------------------------

export interface LinkStatus {
  readonly deviceId: DeviceId
  readonly name: string
  /** `suspect`: silent for longer than usual, being probed; nothing was closed yet. */
  readonly state: 'up' | 'suspect' | 'down' | 'connecting'
  readonly rttMs?: number
  /** How the control connection is carried, such as `tcp/noise`; bulk beside it when there is one. */
  readonly transport?: string
  /** Remote multiaddr. */
  readonly address?: string
  /** Why it is not up, in words for a person. */
  readonly reason?: string
  /** Wall clock since when it is so. */
  readonly sinceMs?: number
  /** Connections held, of both lanes; more than two only while some are being replaced. */
  readonly connectionCount?: number
  /** Over the connections held now, so that it falls when one is replaced. */
  readonly receivedBytes?: number
  readonly sentBytes?: number
  /** Wall clock of the last sign of life. */
  readonly lastSeenMs?: number
}

/** Something wrong that a person can act on. */
export interface Problem {
  readonly code: string
  readonly message: string
  readonly fix?: string
}

/** The part of the status that the peer itself knows. */
export interface PeerStatus {
  readonly deviceId: DeviceId
  readonly name: string
  readonly kind: DeviceKind
  readonly peerId: PeerId
  readonly role: Role
  readonly mesh: MeshId
  /** Bound multiaddrs without /p2p. */
  readonly addresses: readonly string[]
  /** One per other device of the roster. */
  readonly links: readonly LinkStatus[]
  readonly spaces: readonly SpaceStatus[]
  readonly clipboard: clip.ClipState
  readonly problems: readonly Problem[]
  readonly isPairingOpen: boolean
}

/** The part that the process around the peer adds. */
export interface ProcessStatus {
  readonly pid: number
  readonly version: string
  readonly home: string
  readonly startedAtMs: number
  readonly uptimeMs: number
  readonly rssBytes: number
}

export interface Status extends PeerStatus, ProcessStatus {}

// --- devices and pairing ----------------------------------------------------------------------------------------

export interface Device {
  readonly deviceId: DeviceId
  readonly name: string
  readonly kind: DeviceKind
  readonly peerId: PeerId
  readonly role: Role
  /** What the role allows by itself. Empty once revoked. */
  readonly rights?: readonly string[]
  /** What is allowed on top, as `verb` or `verb:object`; written into the roster when it was added. */
  readonly grants?: readonly string[]
  readonly isSelf: boolean
  readonly state: 'self' | 'up' | 'suspect' | 'down' | 'revoked'
  readonly addedAtMs?: number
  readonly addedBy?: DeviceId
  readonly lastSeenMs?: number
  readonly rttMs?: number
  readonly address?: string
}

/** What became of leaving: put out before or not, and how many of the other devices learnt of it at once. */
export interface LeaveReport {
  readonly wasMember: boolean
  readonly othersCount: number
  readonly toldCount: number
  readonly name: string
  readonly deviceId: DeviceId
  readonly peerId: PeerId
}

/** What a machine says of itself; for people only. */
export interface MachineFacts {
  /** As Node names it: `linux`, `darwin`, `win32`. */
  readonly system: string
  readonly architecture: string
  readonly cpuCount: number
  /** Of the last minute; 100: as much to do as there are cores. */
  readonly loadPercent: number
  readonly memoryBytes: number
  readonly freeMemoryBytes: number
  readonly batteryPercent?: number
  readonly isCharging?: boolean
}

export interface Machine extends MachineFacts {
  readonly deviceId: DeviceId
}

/** `device`: a device id, an unambiguous start of one, a PeerId, or an exact name. */
export interface DeviceParams {
  readonly device: string
}

// --- events, logs, metrics, doctor --------------------------------------------------------------------------------

/** One event of the peer's bus (`device.joined`, `link.up`, ...). */
export interface PeerEvent {
  readonly name: string
  readonly atMs: number
  readonly data: Readonly<Record<string, unknown>>
}

/** An event, or how many were dropped because the reader was slow. */
export type EventItem =
  | PeerEvent
  | { readonly name: 'events.dropped'; readonly atMs: number; readonly data: { readonly count: number } }

export interface LogLine {
  readonly atMs: number
  readonly level: LogLevel
  readonly scope: string
  readonly message: string
  readonly fields: Readonly<Record<string, unknown>>
}

export interface LogsParams {
  /** Newest lines first shown. Default 100. */
  readonly lines?: number
  readonly follow?: boolean
}

/** One thing doctor looked at. `cause` and `fix` are there when `ok` is false. */
export interface DoctorCheck {
  readonly name: string
  readonly ok: boolean
  readonly cause?: string
  readonly fix?: string
}

// --- tokens and audit ---------------------------------------------------------------------------------------------

export interface TokenMintParams {
  /** `verb:object` patterns such as `file:read:/share/**`; a subset of what this device may do. */
  readonly scopes: readonly string[]
  readonly lifetimeMs?: number
  readonly audience?: string
}

export interface MintedToken {
  readonly token: string
  readonly jti: string
  readonly expiresAtMs: number
  readonly scopes: readonly string[]
}

export interface TokenInfo {
  readonly jti: string
  readonly scopes: readonly string[]
  readonly audience?: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  readonly state: 'valid' | 'expired' | 'revoked'
}

export interface AuditEntry {
  readonly sequence: number
  readonly atMs: number
  readonly action: string
  readonly actor: string
  readonly subject?: string
  readonly details?: Readonly<Record<string, unknown>>
  /** Hex. */
  readonly hash: string
}

export interface AuditVerdict {
  readonly ok: boolean
  readonly entryCount: number
  /** Hex hash of the newest entry. */
  readonly head?: string
  /** Where the chain breaks, and how. */
  readonly badSequence?: number
  readonly reason?: string
}

// --- the table ------------------------------------------------------------------------------------------------------

interface Request<P, R> {
  readonly params: P
  readonly result: R
}
interface Stream<P, I> {
  readonly params: P
  readonly item: I
}

/** Every verb. A request has one result, a stream has items and then ends. */
export interface Verbs {
  readonly status: Request<NoParams, Status>
  readonly devices: Request<NoParams, readonly Device[]>
  /** This machine and those in reach. */
  readonly machines: Request<NoParams, readonly Machine[]>
  readonly pair: Stream<PairParams, PairEvent>
  readonly pairConfirm: Request<PairConfirmParams, NoParams>
  readonly pairJoin: Stream<PairJoinParams, PairJoinEvent>
  readonly revoke: Request<DeviceParams, Device>
  readonly rename: Request<{ readonly name: string; readonly device?: string }, Device>
  readonly leave: Request<NoParams, LeaveReport>
  readonly grant: Request<part.GrantParams, part.Granted>
  readonly rotate: Request<NoParams, { readonly peerId: PeerId; readonly overlapUntilMs: number }>
  readonly events: Stream<NoParams, EventItem>
  readonly metrics: Request<NoParams, { readonly text: string }>
  readonly tokenMint: Request<TokenMintParams, MintedToken>
  readonly tokenList: Request<NoParams, readonly TokenInfo[]>
  readonly tokenRevoke: Request<{ readonly jti: string }, NoParams>
  /** Whether a token of this device is good for a scope. @throws `auth.invalid`, `auth.expired`, `auth.denied`. */
  readonly tokenCheck: Request<{ readonly token: string; readonly scope: string }, { readonly jti: string }>
  readonly audit: Request<{ readonly limit?: number }, readonly AuditEntry[]>
  readonly auditVerify: Request<NoParams, AuditVerdict>
  readonly logs: Stream<LogsParams, LogLine>
  readonly doctor: Request<NoParams, readonly DoctorCheck[]>
  readonly down: Request<NoParams, { readonly pid: number }>
  readonly consoleOpen: Request<ConsoleOpenParams, ConsoleLink>
  readonly consoleSessions: Request<NoParams, readonly ConsoleSession[]>
  readonly consoleEnd: Request<{ readonly id: string }, NoParams>
  readonly share: Request<spaces.ShareParams, SpaceStatus>
  readonly join: Request<spaces.JoinParams, SpaceStatus>
  readonly unshare: Request<spaces.SpaceParams, SpaceStatus>
  readonly spaces: Request<NoParams, readonly SpaceStatus[]>
  readonly sync: Request<spaces.SyncParams, spaces.SyncReport>
  /** A report whenever it changes, a few a second at most; the last one is true at the end. */
  readonly syncProgress: Stream<spaces.SyncParams, spaces.SyncReport>
  /** On a full device: a storage device holds this space sealed from now on, or no more. */
  readonly store: Request<vaults.StoreParams, SpaceStatus>
  /** On a full device that holds the space. The answer is a secret. */
  readonly spaceKey: Request<spaces.SpaceParams, vaults.SpaceKeyText>
  /** Gets a space back from a storage device, with its key. */
  readonly recover: Request<vaults.RecoverParams, SpaceStatus>
  /** On a storage device: how much it holds for others. */
  readonly hold: Request<vaults.HoldParams, vaults.HoldStatus>
  readonly held: Request<NoParams, vaults.HoldStatus>
  readonly pause: Request<spaces.SomeSpacesParams, readonly SpaceStatus[]>
  readonly resume: Request<spaces.SomeSpacesParams, readonly SpaceStatus[]>
  readonly deletions: Request<spaces.DeletionsParams, SpaceStatus>
  /** Reports as syncProgress. */
  readonly syncOnce: Stream<part.SyncOnceParams, spaces.SyncReport>
  readonly spaceRole: Request<part.RoleParams, SpaceStatus>
  readonly select: Request<part.SelectParams, SpaceStatus>
  readonly localChanges: Request<part.PartParams, part.LocalChangeList>
  readonly revert: Request<part.RevertParams, part.RevertReport>
  readonly entries: Request<part.EntriesParams, part.EntryList>
  /** Reads files again and compares them with what they should be; answers at once. */
  readonly scrub: Request<spaces.ScrubParams, readonly spaces.ScrubReport[]>
  readonly scrubStatus: Request<spaces.SomeSpacesParams, readonly spaces.ScrubReport[]>
  readonly conflicts: Request<spaces.SomeSpacesParams, spaces.ConflictList>
  readonly conflictShow: Request<spaces.PathParams, spaces.ConflictDetail>
  readonly conflictPick: Request<spaces.ConflictPickParams, spaces.ConflictOutcome>
  readonly conflictMerge: Request<spaces.ConflictMergeParams, spaces.ConflictOutcome>
  readonly versions: Request<spaces.VersionsParams, spaces.VersionList>
  readonly restore: Request<spaces.RestoreParams, spaces.RestoreReport>
  readonly history: Request<spaces.PathParams, spaces.History>
  readonly ignore: Request<spaces.IgnoreParams, spaces.IgnoreList>
  readonly ignoreCheck: Request<spaces.PathParams, spaces.IgnoreVerdict>
  readonly clipGet: Request<clip.ClipGetParams, clip.ClipGetResult>
  readonly clipRead: Stream<clip.ClipReadParams, clip.ClipPiece>
  readonly clipSet: Request<clip.ClipSetParams, clip.ClipItem>
  readonly clipUpload: Request<clip.ClipUploadParams, { readonly upload: string }>
  readonly clipHistory: Request<clip.ClipHistoryParams, readonly clip.ClipItem[]>
  /** Makes an earlier item the newest again, on all devices. */
  readonly clipPaste: Request<clip.ClipIdParams, clip.ClipItem>
  readonly clipPin: Request<clip.ClipIdParams, clip.ClipItem>
  readonly clipUnpin: Request<clip.ClipIdParams, clip.ClipItem>
  readonly clipDelete: Request<clip.ClipIdParams, clip.ClipItem>
  readonly clipClear: Request<clip.ClipClearParams, { readonly count: number }>
  readonly clipPause: Request<clip.ClipPauseParams, clip.ClipState>
  readonly clipResume: Request<NoParams, clip.ClipState>
  readonly clipState: Request<NoParams, clip.ClipState>
}

export type VerbName = keyof Verbs
export type StreamVerb = {
  [V in VerbName]: Verbs[V] extends Stream<infer _P, infer _I> ? V : never
}[VerbName]
export type RequestVerb = Exclude<VerbName, StreamVerb>
export type ParamsOf<V extends VerbName> = Verbs[V]['params']
export type ResultOf<V extends RequestVerb> = Verbs[V]['result']
export type ItemOf<V extends StreamVerb> = Verbs[V]['item']

/** What a handler knows of the call. */
export interface ApiCall {
  /** Aborts when the caller cancels or goes away, and when the peer stops. */
  readonly signal: AbortSignal
}

type Handler<V extends VerbName> = V extends StreamVerb
  ? (params: ParamsOf<V>, call: ApiCall) => AsyncIterable<ItemOf<V>>
  : V extends RequestVerb
    ? (params: ParamsOf<V>, call: ApiCall) => Promise<ResultOf<V>>
    : never

/** All verbs as functions: what the control socket and the console serve. Operating faults are SkeinErrors. */
export type Api = { readonly [V in VerbName]: Handler<V> }

/** Verbs that the process around the peer answers itself. */
export type ProcessVerb =
  | 'status'
  | 'logs'
  | 'down'
  | 'metrics'
  | 'consoleOpen'
  | 'consoleSessions'
  | 'consoleEnd'

/** What the peer implements; its `status` lacks what only the process knows. */
export type PeerApi = Omit<Api, ProcessVerb> & {
  readonly status: (params: NoParams, call: ApiCall) => Promise<PeerStatus>
}
