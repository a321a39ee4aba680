/**
 * What a running peer can be asked, as types: each verb with its parameters and its result or the items it streams.
 * The CLI, the console and the control socket share this file and its two neighbours and nothing else, so it holds
 * no code and imports only types. Text in results that came from other devices (names, addresses) is not escaped
 * here: whoever shows it does that.
 */
import type { DeviceId, MeshId, PeerId, SpaceId } from '../base/ids.ts'
import type { LogLevel } from '../base/log.ts'
import type {
  PairParams,
  PairEvent,
  PairConfirmParams,
  PairJoinParams,
  PairJoinEvent,
} from './api-pairing.ts'
import type { Role, DeviceKind } from './api-device.ts'

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
  /** Wall clock of the last sign of life. */
  readonly lastSeenMs?: number
}

export interface SpaceStatus {
  readonly id: SpaceId
  readonly name: string
  /** Absent when this device does not hold the space. */
  readonly directory?: string
  readonly state: 'in-sync' | 'syncing' | 'paused' | 'waiting' | 'error' | 'not-joined'
  readonly fileCount: number
  readonly sizeBytes: number
  readonly conflictCount: number
  /** Entries still to be fetched or applied here. */
  readonly pendingCount: number
  /** Why it waits or fails, in words for a person. */
  readonly reason?: string
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

// --- spaces and clipboard -------------------------------------------------------------------------------------------

export interface ShareParams {
  /** Absolute path. */
  readonly directory: string
  /** Default: the directory's own name. */
  readonly name?: string
}

export interface JoinParams {
  /** Space id, an unambiguous start of one, or an exact name. */
  readonly space: string
  /** Absolute path; made when it does not exist. */
  readonly directory: string
}

export interface SpaceParams {
  readonly space: string
}

export interface SyncParams {
  /** All joined spaces when absent. */
  readonly space?: string
  /** Answers with what is true then when it takes longer. */
  readonly timeoutMs?: number
}

export interface SyncReport {
  readonly isInSync: boolean
  readonly spaces: readonly SpaceStatus[]
}

export interface ClipItem {
  readonly id: string
  readonly atMs: number
  readonly deviceId: DeviceId
  readonly deviceName: string
  readonly mediaType: string
  readonly sizeBytes: number
  /** Present for text that is not too long for a listing. */
  readonly text?: string
}

export interface ClipSetParams {
  readonly text: string
}

export interface ClipHistoryParams {
  readonly limit?: number
  /** Only items whose text holds this. */
  readonly query?: string
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
  readonly pair: Stream<PairParams, PairEvent>
  readonly pairConfirm: Request<PairConfirmParams, NoParams>
  readonly pairJoin: Stream<PairJoinParams, PairJoinEvent>
  readonly revoke: Request<DeviceParams, Device>
  readonly rename: Request<{ readonly name: string; readonly device?: string }, Device>
  readonly leave: Request<NoParams, LeaveReport>
  readonly rotate: Request<NoParams, { readonly peerId: PeerId; readonly overlapUntilMs: number }>
  readonly events: Stream<NoParams, EventItem>
  readonly metrics: Request<NoParams, { readonly text: string }>
  readonly tokenMint: Request<TokenMintParams, MintedToken>
  readonly tokenList: Request<NoParams, readonly TokenInfo[]>
  readonly tokenRevoke: Request<{ readonly jti: string }, NoParams>
  readonly audit: Request<{ readonly limit?: number }, readonly AuditEntry[]>
  readonly auditVerify: Request<NoParams, AuditVerdict>
  readonly logs: Stream<LogsParams, LogLine>
  readonly doctor: Request<NoParams, readonly DoctorCheck[]>
  readonly down: Request<NoParams, { readonly pid: number }>
  readonly share: Request<ShareParams, SpaceStatus>
  readonly join: Request<JoinParams, SpaceStatus>
  readonly unshare: Request<SpaceParams, SpaceStatus>
  readonly spaces: Request<NoParams, readonly SpaceStatus[]>
  readonly sync: Request<SyncParams, SyncReport>
  readonly clipGet: Request<NoParams, { readonly item?: ClipItem; readonly text?: string }>
  readonly clipSet: Request<ClipSetParams, ClipItem>
  readonly clipHistory: Request<ClipHistoryParams, readonly ClipItem[]>
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
export type ProcessVerb = 'status' | 'logs' | 'down' | 'metrics'

/** What the peer implements; its `status` lacks what only the process knows. */
export type PeerApi = Omit<Api, ProcessVerb> & {
  readonly status: (params: NoParams, call: ApiCall) => Promise<PeerStatus>
}
