/**
 * The visible tree of a space over whatever holds its nodes: the rows of the store, or a Map in tests. It asks only
 * for the directories on the way, so a million entries need no memory here.
 */
import { isConflictName, isDirectory, viewDirectory, viewGroup, type NamedVersion } from './view.ts'
import { type DataVersion, type TreeNode } from './join.ts'
import { rootNodeId, type NodeId } from './node-id.ts'
import { groupByName } from './view.ts'

/** Where nodes are looked up. */
export interface NodeSource {
  node(id: NodeId): Promise<TreeNode | undefined>
  /** Living nodes whose place is in this directory, all or those of one name. */
  living(parent: NodeId, name?: string): Promise<readonly TreeNode[]>
  /** Deleted directories whose place is in this directory. */
  tombstones(parent: NodeId, name?: string): Promise<readonly TreeNode[]>
  /** Ids named as parents that may be no directories here. */
  missingParents(): Promise<readonly NodeId[]>
  /** Directories cut loose from a cycle: their place is the top. */
  detached(): ReadonlySet<NodeId>
}

/** What a person sees at a path. */
export interface Entry {
  /** Path from the top of the space, components joined by `/`. */
  readonly path: string
  readonly name: string
  readonly nodeId: NodeId
  /** The directory that shows it; for children of merged directories the one that stands for all. */
  readonly parent: NodeId
  readonly kind: 'file' | 'dir' | 'link' | 'unknown'
  readonly data: DataVersion
  /** It is shown under a conflict name. */
  readonly isConflict: boolean
  /** The name it has a claim to; differs from `name` for conflict copies. */
  readonly conflictOf: string | undefined
  /** False for concurrent further versions of the node: then changes go through a split. */
  readonly isFirst: boolean
  /** All nodes shown here, nodeId first: merged directories, or files of equal name and content. */
  readonly nodes: readonly NodeId[]
  /** Its parent is not known here (yet), or it was cut loose from a cycle: it stands at the top meanwhile. */
  readonly isStray: boolean
}

export interface TreeView {
  /** Entries of a directory by name; empty for what is no directory. Any of merged directories stands for all. */
  children(directory: NodeId): Promise<readonly Entry[]>
  lookup(path: string): Promise<Entry | undefined>
  /** The entry that shows the first version of a node. */
  entry(id: NodeId): Promise<Entry | undefined>
  /** All entries, directories before their content. */
  walk(): AsyncIterable<Entry>
  /** The directories that appear as one with this one, the one that stands for them first. */
  members(directory: NodeId): Promise<readonly NodeId[]>
  /** Forgets what it has derived. @param onlyFiles no directory has come, gone, moved or been deleted. */
  invalidate(onlyFiles?: boolean): void
}

const cacheMax = 10_000

export function createTreeView(source: NodeSource): TreeView {
  return new SourceTreeView(source)
}

class SourceTreeView implements TreeView {
  private readonly source: NodeSource
  private membersOf = new Map<NodeId, readonly NodeId[]>()
  private isVisible = new Map<NodeId, boolean>()
  /** Something derived depends on whether anything lives in a deleted directory. */
  private hasAskedForLife = false

  constructor(source: NodeSource) {
    this.source = source
  }

  invalidate(onlyFiles = false): void {
    if (onlyFiles && !this.hasAskedForLife) return
    this.membersOf = new Map()
    this.isVisible = new Map()
    this.hasAskedForLife = false
  }

  async children(directory: NodeId): Promise<readonly Entry[]> {
    const members = await this.members(directory)
    const [head] = members
    if (head === undefined) return []
    const named = viewDirectory(await this.visible(await this.placedIn(members)))
    if (named.length === 0) return []
    const path = await this.pathOf(head)
    return named.map((one) => this.toEntry(one, head, path))
  }

  async lookup(path: string): Promise<Entry | undefined> {
    let directory: NodeId = rootNodeId
    const names = path.split('/')
    for (const [index, name] of names.entries()) {
      const found = await this.find(directory, name)
      if (found === undefined || index === names.length - 1) return found
      if (found.kind !== 'dir') return undefined
      directory = found.nodeId
    }
    return undefined
  }

  async entry(id: NodeId): Promise<Entry | undefined> {
    const node = await this.source.node(id)
    if (node === undefined) return undefined
    const members = await this.members(await this.parentOf(node))
    const [head] = members
    if (head === undefined) return undefined
    const group = viewGroup(await this.visible(await this.placedIn(members, node.name)))
    const shows = (one: NamedVersion): boolean =>
      one.nodes.includes(id) && (one.node.id !== id || one.isFirst || isDirectory(node))
    const [winner] = group
    if (winner !== undefined && shows(winner)) return this.toEntry(winner, head, await this.pathOf(head))
    if (!group.some(shows)) return undefined
    return (await this.children(head)).find(
      (entry) => entry.nodes.includes(id) && (entry.nodeId !== id || entry.isFirst),
    )
  }

  async *walk(): AsyncGenerator<Entry> {
    const waiting: NodeId[] = [rootNodeId]
    for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
      for (const entry of await this.children(directory)) {
        if (entry.kind === 'dir') waiting.push(entry.nodeId)
        yield entry
      }
    }
  }

  async members(directory: NodeId): Promise<readonly NodeId[]> {
    if (directory === rootNodeId) return [rootNodeId]
    const { membersOf } = this
    const known = membersOf.get(directory)
    if (known !== undefined) return known
    const node = await this.source.node(directory)
    if (node === undefined || !isDirectory(node)) return []
    const siblings = await this.placedIn(await this.members(await this.parentOf(node)), node.name)
    const all = await this.visible(siblings)
    // A directory that nothing shows is still a place for what arrives in it
    const [shown] = viewGroup(all)
    const members = shown !== undefined && isDirectory(shown.node) ? shown.nodes : []
    const out = members.includes(directory) ? members : [...members, directory]
    if (membersOf.size > cacheMax) membersOf.clear()
    // Where all was forgotten meanwhile it is not taken for news
    membersOf.set(directory, out)
    return out
  }

  private async find(directory: NodeId, name: string): Promise<Entry | undefined> {
    const members = await this.members(directory)
    const [head] = members
    if (head === undefined) return undefined
    const [winner] = viewGroup(await this.visible(await this.placedIn(members, name)))
    if (winner !== undefined) return this.toEntry(winner, head, await this.pathOf(head))
    if (!isConflictName(name)) return undefined
    return (await this.children(head)).find((entry) => entry.name === name)
  }

  /** Where the node is shown: its own parent, or the top when that does not work out. */
  private async parentOf(node: TreeNode): Promise<NodeId> {
    if (node.parent === rootNodeId || this.source.detached().has(node.id)) return rootNodeId
    const parent = await this.source.node(node.parent)
    return parent !== undefined && isDirectory(parent) ? node.parent : rootNodeId
  }

  /** All nodes placed in any of these directories, and at the top also the strays. */
  private async placedIn(members: readonly NodeId[], name?: string): Promise<readonly TreeNode[]> {
    const { source } = this
    const detached = source.detached()
    const out: TreeNode[] = []
    const add = async (parent: NodeId): Promise<void> => {
      for (const node of await source.living(parent, name)) if (!detached.has(node.id)) out.push(node)
      for (const node of await source.tombstones(parent, name)) if (!detached.has(node.id)) out.push(node)
    }
    for (const member of members) await add(member)
    if (!members.includes(rootNodeId)) return out
    for (const parent of await source.missingParents()) {
      const node = await source.node(parent)
      if (parent !== rootNodeId && (node === undefined || !isDirectory(node))) await add(parent)
    }
    for (const id of detached) {
      const node = await source.node(id)
      if (node !== undefined && (name === undefined || node.name === name)) out.push(node)
    }
    return out
  }

  /** Leaves out deleted directories in which nothing lives, unless a living one has the same name anyway. */
  private async visible(nodes: readonly TreeNode[]): Promise<readonly TreeNode[]> {
    if (!nodes.some((node) => node.isTombstone)) return nodes
    const out: TreeNode[] = []
    for (const group of groupByName(nodes).values()) {
      const hasLiving = group.some((node) => !node.isTombstone && isDirectory(node))
      for (const node of group) {
        if (!node.isTombstone || hasLiving || (await this.holdsLife(node.id))) out.push(node)
      }
    }
    return out
  }

  private async holdsLife(id: NodeId): Promise<boolean> {
    const { isVisible } = this
    const known = isVisible.get(id)
    if (known !== undefined) return known
    this.hasAskedForLife = true
    const detached = this.source.detached()
    const living = await this.source.living(id)
    let result = living.some((node) => !detached.has(node.id))
    if (!result) {
      for (const node of await this.source.tombstones(id)) {
        if (detached.has(node.id) || !(await this.holdsLife(node.id))) continue
        result = true
        break
      }
    }
    if (isVisible.size > cacheMax) isVisible.clear()
    isVisible.set(id, result)
    return result
  }

  /** Directories never have conflict names, so a path is the names up to the top. */
  private async pathOf(directory: NodeId): Promise<string> {
    const names: string[] = []
    let current = directory
    while (current !== rootNodeId) {
      const node = await this.source.node(current)
      if (node === undefined) break
      names.push(node.name)
      current = await this.parentOf(node)
    }
    return names.reverse().join('/')
  }

  private toEntry(named: NamedVersion, parent: NodeId, directoryPath: string): Entry {
    const { node, version, name, isConflict, isFirst, nodes } = named
    return {
      path: directoryPath === '' ? name : `${directoryPath}/${name}`,
      name,
      nodeId: node.id,
      parent,
      kind: version.kind === 'tombstone' ? 'dir' : version.kind,
      data: version,
      isConflict,
      conflictOf: name === node.name ? undefined : node.name,
      isFirst,
      nodes,
      isStray: parent === rootNodeId && node.parent !== rootNodeId,
    }
  }
}
