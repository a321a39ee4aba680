/**
 * The decision what to do about one place, as a pure function of three trees: the index row (what disk and document
 * last agreed on), the disk, the document. After mutagen's reconcile.go and Dropbox Nucleus: each branch states the
 * invariant that makes it safe. Never decides by time; never lets go of bytes that are not recorded in the index.
 *
 * `own` is where the document has the row's version (or the version that replaced it), `here` is what the document
 * shows at this very place. They are the same entry as long as nothing moved.
 *
 * A version that stands in a row has its bytes on this disk, and maybe nowhere else. When they go, the document is told
 * in the same step, or another version has replaced it: else it would name a content that nobody can give.
 */
import { type EntryData, sameButAttributes, sameData, type SyncedRow, type TreeEntry } from './folder-tree.ts'

export type DiskState =
  | { readonly state: 'absent' }
  /** Exactly what the row says, by signature or by hash. */
  | { readonly state: 'same' }
  | { readonly state: 'present'; readonly data: EntryData }

export interface Place {
  readonly row: SyncedRow | undefined
  readonly disk: DiskState
  readonly own: TreeEntry | undefined
  readonly here: TreeEntry | undefined
  /** Nobody else moved the row's node: that `own` has another place than the row is the view's doing. */
  readonly isPlacedHere?: boolean
}

export type Action =
  | { readonly kind: 'nothing' }
  /** Row away: neither side has it, or it is to be fetched anew. `isOurs`: no person took it from this disk. */
  | { readonly kind: 'forget'; readonly isOurs?: boolean }
  /** Row := this entry; disk and document agree already. `deletesOld`: the row's own version went from the disk. */
  | { readonly kind: 'adopt'; readonly entry: TreeEntry; readonly deletesOld?: boolean }
  /** Document gets a new node. */
  | { readonly kind: 'create'; readonly data: EntryData }
  /** Document gets a new version of the row's node, made from the row's version. */
  | { readonly kind: 'edit'; readonly data: EntryData }
  /** Something of another kind stands here now: the row's node is deleted if nobody changed it, a new one made. */
  | { readonly kind: 'recreate'; readonly data: EntryData; readonly deletesOld: boolean }
  /** Document loses the row's version, of this node. Goes through the delete brake. */
  | { readonly kind: 'delete'; readonly nodeId: string }
  /** Disk gets what is not there yet. */
  | { readonly kind: 'materialise'; readonly entry: TreeEntry }
  /** Disk gets a newer version over the one in the row; the old bytes go to versions. */
  | { readonly kind: 'replace'; readonly entry: TreeEntry }
  /** Disk moves it to where the document has it. */
  | { readonly kind: 'move'; readonly entry: TreeEntry }
  /** Disk loses what others deleted; the bytes go to versions. */
  | { readonly kind: 'trash' }
  /** It stays on this disk, and nobody is told (plan-part.ts). */
  | { readonly kind: 'keep'; readonly change: UnsentChange }
  /** Disk loses what this device did not select, once another device is known to hold the bytes. */
  | { readonly kind: 'release' }
  /** Disk loses what was changed here and is not sent; these bytes go to versions. */
  | { readonly kind: 'overrule'; readonly data: EntryData }

/** How the disk differs from what others are told. */
export type UnsentChange = 'added' | 'edited' | 'deleted'

const nothing: Action = { kind: 'nothing' }

export function planPlace(place: Place): Action {
  const { row, disk } = place
  if (row === undefined) return planUnrecorded(disk, place.here)
  switch (disk.state) {
    case 'same':
      return planUnchanged(row, place)
    case 'absent':
      return planVanished(row, place)
    case 'present':
      return planChanged(row, disk.data, place)
  }
}

/** No row: disk and document never agreed on anything here, so neither may overrule the other. */
function planUnrecorded(disk: DiskState, here: TreeEntry | undefined): Action {
  if (disk.state !== 'present') {
    // Invariant: nothing stands on the disk, so nothing can be lost by putting something there
    return here === undefined ? nothing : { kind: 'materialise', entry: here }
  }
  // Invariant: bytes are equal, so adopting loses none; no transfer, no copy. Also heals a crash between rename and row
  if (here !== undefined && sameData(disk.data, here)) return { kind: 'adopt', entry: here }
  // Invariant: the disk has no attributes that could be lost by taking those of the document; they follow (planUnchanged)
  if (here !== undefined && disk.data.attributes === undefined && sameButAttributes(disk.data, here))
    return { kind: 'adopt', entry: here }
  // Invariant: the disk's bytes enter the document before anything else; two nodes under one name are told apart by the view
  return { kind: 'create', data: disk.data }
}

/** The disk is as recorded: its bytes are known to the document's history, so the document may decide. */
function planUnchanged(row: SyncedRow, { own, here }: Place): Action {
  if (own === undefined) {
    // Invariant: same bytes stay at the same place; only the name of the node behind them changed (a split)
    if (here !== undefined && sameData(row, here)) return { kind: 'adopt', entry: here }
    // Invariant: disk equals the recorded version, which others have seen and deleted; bytes still go to versions
    return { kind: 'trash' }
  }
  // Invariant: a move changes no bytes
  if (own.parentId !== row.parentId || own.name !== row.name) return { kind: 'move', entry: own }
  // Invariant: equal bytes under a newer version need no disk work
  if (own.version !== row.version || row.isLeftover)
    return sameData(row, own) ? { kind: 'adopt', entry: own } : { kind: 'replace', entry: own }
  // Devices that merge at once may come to other attributes of one version; the document decides for all
  if (own.kind === 'file' && own.attributes !== row.attributes) return { kind: 'replace', entry: own }
  return nothing
}

/** Recorded, but not on the disk any more: deleted here, unless the document has news of it. */
function planVanished(row: SyncedRow, { own, here, isPlacedHere = false }: Place): Action {
  // The very version under another node: a split told it apart, nobody touched it
  const split = own === undefined && here?.version === row.version && row.kind === 'file' ? here : undefined
  if (split !== undefined) return { kind: 'delete', nodeId: split.nodeId }
  // Both sides deleted it
  if (own === undefined) return { kind: 'forget' }
  // Invariant: an edit by others beats a delete here; without a row it is fetched again
  if (own.version !== row.version) return { kind: 'forget' }
  // Invariant: so does a move by others. A name or directory that only the view gave it is none: others may lack the bytes
  const isMoved = own.parentId !== row.parentId || own.name !== row.name
  if (isMoved && !isPlacedHere) return { kind: 'forget' }
  // Invariant: what is deleted is exactly the version that stood here, nothing newer
  return { kind: 'delete', nodeId: row.nodeId }
}

/** The disk has something else than recorded: it enters the document before anything else happens to it. */
function planChanged(row: SyncedRow, data: EntryData, { own, here }: Place): Action {
  if (data.kind !== row.kind) {
    // Invariant: the old node is deleted only in the version that stood here; an edit of it by others survives beside
    const deletesOld = own !== undefined && own.version === row.version
    if (here !== undefined && sameData(data, here)) return { kind: 'adopt', entry: here, deletesOld }
    return { kind: 'recreate', data, deletesOld }
  }
  // Invariant: both sides came to the same bytes; agreeing loses none
  if (own !== undefined && own.version !== row.version && sameData(data, own)) {
    return { kind: 'adopt', entry: own }
  }
  // Invariant: made from the row's version, so an edit by others is concurrent and both are kept (edit also beats delete)
  return { kind: 'edit', data }
}
