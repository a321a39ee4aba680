/** Every bound in one table: unit in the name, the reason, and what happens when it is hit. */
import { clipboardLimits } from './clipboard-limits.ts'

export const limits = {
  /** Largest message on a Channel. Keeps buffers and CRDT frames bounded; a longer one ends the channel. */
  messageBytes: 1024 * 1024,
  /** Largest RPC envelope (without the raw body): control stays small. Longer: the call is refused. */
  rpcEnvelopeBytes: 64 * 1024,
  /** Calls in flight from one peer. More are answered `limit.exceeded`. */
  rpcCallsInFlight: 1024,
  /** Items a stream's sender may have unacknowledged; it waits for credit. */
  rpcStreamCredit: 64,
  /** A request without its own deadline ends after this. */
  rpcDeadlineMs: 30_000,
  /** Bytes a channel holds unsent before `send` says wait. */
  channelSendBufferBytes: 1024 * 1024,
  /** Hard end of patience with an unsent buffer: senders that ignore back-pressure lose the channel. */
  channelSendBufferHardBytes: 8 * 1024 * 1024,
  /** Unsent bytes that do not move for so long mean a dead or hostile reader: `channel.stalled`. */
  channelStallMs: 30_000,
  /** First message of an accepted stream must come within this, else it is dropped. */
  helloMs: 5_000,
  /** Whole handshake of a connection. */
  handshakeMs: 5_000,
  /** Connections that are not yet authenticated, all addresses together; more are refused. */
  pendingConnections: 50,
  /** New inbound connections per second from one address; more are refused. Several peers may share a host. */
  inboundConnectionsPerSecond: 100,
  /** Connections held open by strangers during a pairing window. */
  pairingConnections: 8,
  /** Streams one member may hold open towards us; more are reset. */
  streamsPerPeer: 64,
  /** Streams a stranger may open in a pairing window: the pairing one. */
  streamsPerStranger: 1,
  /** Connections one member may hold to us, old ones that are not noticed dead included; more are refused. */
  connectionsPerPeer: 16,
  /** Connections of all peers together; more are refused. */
  connections: 1024,
  /** Bytes a connection holds that the remote does not take: beyond, it makes us answer without reading; cut. */
  connectionUnsentBytes: 16 * 1024 * 1024,
  /** A second address is tried beside the first after this, the next ones likewise. */
  dialStaggerMs: 250,
  /** yamux window of a control connection: outstanding window / link rate is the delay others see. */
  controlWindowBytes: 256 * 1024,
  /** yamux window of a bulk connection: below this sender and receiver wait for each other in turns (measured). */
  bulkWindowBytes: 2 * 1024 * 1024,
  /** Addresses kept per peer, most recently good first; the rest are forgotten. */
  addressesPerPeer: 8,
  /** Bytes of one address as text. Longer ones are dropped. */
  addressBytes: 160,
  /** Network interfaces the beacon speaks on; the rest (container links) stay silent. */
  beaconInterfaces: 16,
  /** Mesh keys tried on one sealed record, current first: bounds the work a stranger's packet causes. */
  beaconKeys: 4,
  /** Between two announcements when nothing changes; a device whose packets got lost is found after this. */
  beaconPeriodMs: 10_000,
  /** Least time between two answers on one interface; queries in between share one answer. */
  beaconAnswerMs: 250,
  /** Discovery packets read per second from one address, with a burst of twice that; more are dropped unread. */
  beaconSourcePacketsPerSecond: 50,
  /** The same for all addresses together: forged sources cannot buy more work than this. */
  beaconPacketsPerSecond: 500,
  /** Source addresses whose packet budgets are remembered; the oldest is forgotten. */
  beaconSources: 256,
  /** Largest mDNS packet read. Longer ones are dropped unread; our own are below 1,232 (the least IPv6 MTU). */
  mdnsPacketBytes: 4096,
  /** Questions and records of one mDNS packet together; a packet with more is dropped unread. */
  mdnsRecords: 64,
  /** Delay before changed addresses are written, so that a burst of successes is one write. */
  addressSaveMs: 2_000,
  /** Unverified discovery sightings kept; the oldest is forgotten. */
  sightings: 256,
  /** Devices in one mesh. More `add` statements are refused. */
  devices: 256,
  /** Statements in a roster; a device that would exceed it is told to compact by a new mesh. */
  rosterStatements: 10_000,
  /** One signed roster statement. Longer is refused unread. */
  rosterStatementBytes: 8 * 1024,
  /** Parents one roster statement names; the remaining heads are joined by the next one. */
  rosterParents: 32,
  /** Full devices, most senior first, that put on record when they learn of a removal. */
  rosterWitnesses: 4,
  /** Statements kept while their parents are still missing; more are refused and fetched again by the next sync. */
  rosterPending: 1_000,
  /** Grants of one device, and bytes of one. A statement with more is refused. */
  grantsPerDevice: 64,
  grantBytes: 96,
  /** Devices one `recover` statement may remove: it must fit in a statement. */
  recoverRemovals: 128,
  /** How long a rotated-out key is still accepted, unless the rotation says less; and the most it may say. */
  rotationOverlapMs: 24 * 3_600_000,
  rotationOverlapMaxMs: 7 * 24 * 3_600_000,
  /** Open contradictions between removals that are weighed at once; the senior ones go first. */
  rosterContests: 64,
  /** Longest life of a token. A longer one is refused at minting and at use. */
  tokenLifeMs: 24 * 3_600_000,
  /** Bytes of a token in text form; a longer one is refused unread. */
  tokenBytes: 8 * 1024,
  /** Scopes in one token. */
  tokenScopes: 64,
  /** Revoked tokens remembered until they expire; beyond it the whole issuer's tokens are refused. */
  tokenRevocations: 10_000,
  /** Entries of the audit log between two signed heads, and the longest time between them. */
  auditHeadEntries: 64,
  auditHeadMs: 60_000,
  /** One audit record. */
  auditRecordBytes: 4 * 1024,
  /** A pairing message of the proof; the pages of the roster after it may be longer. */
  pairMessageBytes: 4 * 1024,
  /** Bytes of one page of the roster in pairing. */
  pairPageBytes: 256 * 1024,
  /** The other side's next pairing message, where no person is waited for. */
  pairStepMs: 10_000,
  /** Name of a device or a space, in bytes of UTF-8. Cut on input with a clear error. */
  nameBytes: 64,
  /** Records of the audit log in memory for `skein audit`; older ones are read from disk. */
  auditTail: 1_000,
  /** A pairing window closes after this. */
  pairWindowMs: 120_000,
  /** Codes per pairing window; each allows one guess. */
  pairCodes: 3,
  /** How long the person has to confirm on the existing device. */
  pairConfirmMs: 120_000,
  /** Heartbeat period on control. */
  heartbeatMs: 500,
  /** On a healthy connection only so often a heartbeat asks for an answer; the others are signs of life alone. */
  answerEveryMs: 2_000,
  /** Nothing received for this long: probe. */
  suspectMs: 1_500,
  /** Nothing received for this long: down for others (soft: nothing is closed). */
  downMs: 2_500,
  /** Nothing received for this long: the connections are cut. */
  abortMs: 10_000,
  /** Heartbeats on control without an answer for so long although bytes come in: a one-way network, down. */
  unansweredMs: 5_000,
  /** A detector tick later than this means that our own process stood still: no alarm from that time. */
  detectorLateMs: 200,
  /** Heartbeat period on bulk, where data is the usual sign of life. */
  bulkHeartbeatMs: 2_000,
  /** Nothing received for this long: the other side is asked by datagrams, which wait for no retransmission timer. */
  pulseAfterMs: 1_000,
  /** Between two such datagrams: thirty of them fit between a stall of 1 s and `downMs`. */
  pulseEveryMs: 50,
  /**
   * How much longer a connection that is silent, or answers nothing, is believed in while datagrams are answered. At
   * 30 % loss each way kernels were seen to wait about 10 s; a stuck connection is replaced long before by a new one.
   */
  pulseTrustMs: 15_000,
  /** Nothing received on bulk for this long: new channels go over control, a fresh bulk connection is dialled. */
  bulkSuspectMs: 5_000,
  /** Connections held to one member per lane, being replaced or drained included; the oldest is cut beyond it. */
  linesPerLane: 4,
  /** Link handshakes one member may have in progress; more are refused. */
  pendingHellos: 4,
  /** First message of the link protocol. */
  helloBytes: 1024,
  /** A replaced connection is kept this long for the channels that still run on it; then it is closed. */
  drainMs: 600_000,
  /** A replaced connection closes after having been idle this long: an opening channel may be on its way. */
  drainQuietMs: 1_000,
  /** How long leaving peers are given to hear the goodbye. */
  goodbyeMs: 500,
  /** The wall clock running ahead of the monotonic one by this much: the machine slept. */
  sleepMs: 5_000,
  /** Redial back-off. */
  redialFirstMs: 250,
  redialMaxMs: 5_000,
  /** One address of one dial. */
  dialAddressMs: 1_500,
  /** One whole dial, all addresses. */
  dialMs: 4_000,
  /** The peer that should not dial waits this long before it does. */
  secondDialerMs: 500,
  /** Between looking at network interfaces. */
  interfacePollMs: 1_000,
  /** Events kept for a subscriber that is slow; older ones are dropped and it is told how many. */
  eventBacklog: 1_000,
  /** A request on the control socket, and its reply without streams. */
  controlMessageBytes: 4 * 1024 * 1024,
  /** Connections to the control socket at once; more are closed unread. */
  controlConnections: 64,
  /** Calls in flight on one control connection; more are answered `limit.exceeded`. */
  controlCallsInFlight: 64,
  /** One record of a kept log (roster, audit): bounds what reading it back may allocate. Longer: refused. */
  keepRecordBytes: 1024 * 1024,
  /** Free space a peer wants before it starts; with less it says so and does not start. */
  startFreeBytes: 8 * 1024 * 1024,
  /** The running log is moved aside at this size. */
  logFileBytes: 8 * 1024 * 1024,
  /** Older logs kept besides the running one; the oldest is deleted. */
  logFiles: 3,
  /** One log line; its fields are left out when it would be longer. */
  logLineBytes: 16 * 1024,
  /** Different label values of one metric; more are counted under `other`. */
  metricSeries: 200,
  /** A stop may take this long to drain; what is open then is cut. */
  stopMs: 10_000,
  /** How long `skein up` waits for the new peer to say that it is ready. */
  startMs: 30_000,
  /** A settings file; longer is refused unread. */
  settingsBytes: 64 * 1024,
  /** A Yjs update on the wire or in the log: V1 needs a byte per struct, so this bounds the work of one frame. */
  updateBytes: 1024 * 1024,
  /** Yjs updates waiting for a missing one, per document; more: drop them and ask for a state-vector diff. */
  pendingUpdates: 256,
  /** Contents up to this are sent before they are asked for: a question and an answer would cost more than their bytes. */
  pushedContentBytes: 128 * 1024,
  /** Contents in one pushed message; the rest goes into the next one. */
  pushedContents: 512,
  /** Offered contents that wait for one line; what is beyond is not pushed, the other side asks for it. */
  pushQueueBytes: 8 * 1024 * 1024,
  /** Pushed contents held in memory until a record names them, all devices together; above it the oldest are dropped. */
  pushedBytes: 32 * 1024 * 1024,
  /** The same of one device: nobody can push out what others sent. */
  pushedBytesPerDevice: 16 * 1024 * 1024,
  /** Bytes of content in one frame: two of them fit a message; larger ones make others wait, smaller ones cost calls. */
  blobChunkBytes: 256 * 1024,
  /** Longest range of a large content asked for at once: one read and one write. A longer one ends the channel. */
  blobRangeBytes: 1024 * 1024,
  /** Ranges of one content that one source is asked for at once: enough to keep the line full while others are written. */
  blobRangesInFlight: 4,
  /** Sources of one content that are asked at the same time; the others wait until one fails. */
  blobSources: 4,
  /** Bytes of one large content that were asked for and had not their turn to be hashed; nothing more is asked for above it. */
  blobWindowBytes: 8 * 1024 * 1024,
  /**
   * Bytes of one large content that have come and are not in its file yet; above it no more is taken from the network. It is
   * what a kill of the receiver costs besides what was on its way: so much comes a second time, at most. With half of it the
   * network waits for the disk so often that a large file takes half as long again.
   */
  blobUnwrittenBytes: 2 * 1024 * 1024,
  /** Notes of which parts of a staged file are right; longer ones are not believed, what is wrong is found by the block list. */
  partNotesBytes: 16 * 1024 * 1024,
  /** Highest rate that settings may name, kilobytes a second; above it there is no need for a limit. */
  rateKBps: 100_000_000,
  /** Blocks of one block list: 768 KiB of it. A content longer than so many of the largest blocks travels whole. */
  blockListBlocks: 32_768,
  /** Contents below it are fetched whole: a list and a look at the old one would cost as much. */
  deltaFromBytes: 4 * 1024 * 1024,
  /** Largest content; a length beyond it is an attack or damage and ends the channel. */
  blobBytes: 2 ** 50,
  /** Contents one peer may ask for at once; more are answered "busy". */
  blobWantsInFlight: 256,
  /** Tree depth of a space. Deeper entries are listed as problems. */
  pathDepth: 256,
  /** Bytes of one path component. */
  pathNameBytes: 255,
  /** Whole state of one document, sent in parts; a peer that sends more loses the channel. */
  documentBytes: 64 * 1024 * 1024,
  /** Bytes of documents held in memory, with what their pieces cost there; above it the least recently used leave. */
  loadedDocumentBytes: 64 * 1024 * 1024,
  /** Documents held in memory, however small. */
  loadedDocuments: 1024,
  /** Documents a sync peer may name in one table. Longer tables end the channel. */
  syncTableDocuments: 8192,
  /** Groups of documents (spaces and small documents) in one digest exchange. */
  syncGroups: 4096,
  /** Live updates waiting for one slow sync peer; above it they are dropped and caught up by digest. */
  syncOutboxBytes: 1024 * 1024,
  /** Files of one folder known to be damaged by the disk. More are found again once those are put right. */
  damagedFiles: 1_000,
  /** One tree record. Longer ones are ignored and reported. */
  treeRecordBytes: 5 * 1024,
  /** Extended attributes of one file that travel, and their text; what is beyond stays on its device. */
  fileAttributes: 32,
  fileAttributesBytes: 1024,
  /** Entries of a version vector; above it the oldest are forgotten, at worst a false conflict copy. */
  versionVectorEntries: 32,
  /** Largest text that is merged, each side and the result; larger ones become conflict copies. */
  mergeBytes: 1024 * 1024,
  /** Comparisons of one merge: about 200 ms. Texts that need more are too different; both are kept. */
  mergeSteps: 20_000_000,
  /** The same for a merge on the main thread; one that needs more goes to a thread of its own. */
  mergeInlineSteps: 200_000,
  /** Bytes of base and sides together up to which the main thread tries first. */
  mergeInlineBytes: 128 * 1024,
  /** Concurrent versions merged at once; more are kept as conflict copies. */
  mergeSides: 8,
  /** Contents kept as bases for merges, compressed, all together; the oldest leave, at worst a conflict copy. */
  mergeBasesBytes: 256 * 1024 * 1024,
  /** Days that replaced and deleted files are kept; older ones are dropped. */
  versionDays: 30,
  /** Further days of this device on which they must have been found older before they go: its clock may have jumped. */
  versionGraceDays: 7,
  /** Bytes of kept files of one folder; above it the oldest leave, but none of the last day. */
  versionBytes: 20_000_000_000,
  /** Conflicts, versions or steps of history in one answer; the rest is left out, and the answer says so. */
  listedEntries: 1_000,
  /** Problems of single files told with the state of a folder; the rest is counted. */
  listedProblems: 20,
  /** Lines of one difference that is shown, and characters of one line; the rest is left out. */
  diffLines: 2_000,
  diffLineLength: 400,
  /** Patterns in one `.skeinignore` change. */
  ignorePatterns: 256,
  /** Changes on a disk that nobody is told of and that are listed, of one folder; what is beyond stays untold. */
  localChanges: 100_000,
  /** Patterns of one selection, each kind. More are refused. */
  selectionPatterns: 64,
  /** Bytes of one pattern. */
  patternBytes: 1_024,
  /** Contents asked about in one question whether another device holds them. */
  heldQuestions: 512,
  /** What a device let go of because it is not selected stays below `.skein` for so long, should somebody still write to it. */
  releasedMs: 600_000,
  /** Kept versions that one other device tells for a path; the rest it leaves out. */
  remoteVersions: 500,
  ...clipboardLimits,
  /** Bytes of one format taken from, or handed to, the programs of a desktop; a larger one is left out. */
  desktopFormatBytes: 64 * 1024 * 1024,
  /** The same for all formats of one copy together. */
  desktopCopyBytes: 128 * 1024 * 1024,
  /** Formats a program may list for one copy; a longer list could hide that it is a secret: nothing is taken. */
  desktopListedFormats: 1024,
  /** A program that copied and then says nothing for so long: what it still owes is left out. */
  desktopAnswerMs: 5_000,
  /** The whole of one copy must be there after this; what is not is left out. */
  desktopCopyMs: 30_000,
  /** A paste must have its content, and a program that pastes must go on reading, within this. */
  desktopPasteMs: 20_000,
  /** Pastes in progress at once; more get nothing. */
  desktopPastes: 64,
  /** Largest packet taken from a display; a longer one ends the connection to it. */
  displayPacketBytes: 4 * 1024 * 1024,
  /** A display must answer within this, else the connection to it is made anew. */
  displayAnswerMs: 5_000,
  /** Between two tries to reach a display that is gone: from the first, doubling, up to the second. */
  displayRetryMs: 250,
  displayRetryMaxMs: 10_000,
  /** Connections to the web console at once; more are closed unread. */
  consoleConnections: 128,
  /** Headers of one request to the console; longer ones are answered 431. */
  consoleHeaderBytes: 16 * 1024,
  /** Body of one request: a clipboard text of `messageBytes`, every character of it escaped. Longer: 413. */
  consoleBodyBytes: 6 * 1024 * 1024,
  /** A request must have come in whole after this; else its connection is closed. */
  consoleRequestMs: 15_000,
  /** A call of the console ends after this; a stream does not. */
  consoleCallMs: 120_000,
  /** Calls and streams of one console session in flight; more are answered 429. */
  consoleCallsInFlight: 32,
  /** A launch link is good for so long, and once. */
  consoleLaunchMs: 60_000,
  /** Launch links that are open at once; the oldest becomes void. */
  consoleLaunches: 8,
  /** Console sessions at once; the one not seen for longest ends. */
  consoleSessions: 16,
  /** A console session nobody uses ends after this, and any after the second. */
  consoleIdleMs: 12 * 3_600_000,
  consoleSessionMs: 7 * 24 * 3_600_000,
  /** Events kept for a page that opens or comes back. */
  consoleEvents: 500,
  /** Live messages waiting for one slow page; above it the oldest are dropped and it is told how many. */
  consoleBacklog: 256,
  /** Between two signs of life on a stream to a page. */
  consoleHeartbeatMs: 10_000,
  /** Between two looks at the state while a page is open, and how soon after an event. */
  consoleLookMs: 1_000,
  consoleLookSoonMs: 60,
  /** A sealed block: with its call it is one message. All blocks have this length. */
  vaultBlockBytes: 1_040_384,
  /** Padded plain bytes of one sealed record; what is longer is spread over several. */
  vaultRecordBytes: 512 * 1024,
  /** Sealed spaces that one storage device holds; more are refused. */
  vaults: 256,
  /** Ids in one question or answer about a sealed space: 128 KiB of them. */
  vaultIds: 1_024,
  /** One file of blocks; then the next one is begun. Rewriting one to regain room costs at most this. */
  vaultPackBytes: 64 * 1024 * 1024,
  /** Blocks of one sealed space on their way at once, each way: bounds the memory, fills the line. */
  vaultBlocksInFlight: 4,
  /** Room that a storage device leaves on its disk for everything else; what would go into it is refused. */
  vaultReserveBytes: 64 * 1024 * 1024,
  /** Records of a sealed space after which they are written anew, without what newer ones replace. */
  vaultRecords: 1_024,
  /** Spaces in the shared settings. */
  spaces: 256,
} as const
