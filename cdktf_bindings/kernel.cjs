// The jsii kernel as one process that loads an assembly's types and code when they are asked for.
//
//   node --preserve-symlinks kernel.cjs <program.js of the jsii runtime> <fd to read> <fd to write>
//
// jsii starts its kernel behind a second process that only passes bytes on; here Python speaks with
// the kernel's own program. Assemblies in a folder beside an index (written by cache.py)
// are loaded submodule by submodule. All others, and everything else, are jsii's own.
"use strict";

var OLDEST_NODE = 18;

var fs = require("fs");

if (parseInt(process.versions.node, 10) < OLDEST_NODE) {
  // Plain old syntax up to here: such a Node must be able to say so.
  fs.writeSync(Number(process.argv[4]), JSON.stringify({ hello: "Node " + process.version }) + "\n");
  process.exit(0);
}

const Module = require("module");
const path = require("path");
const workers = require("worker_threads");
const zlib = require("zlib");

// What dependencies do with Node's old functions is nothing that a user could fix.
process.noDeprecation = true;
// Ctrl-C reaches every process of the terminal. Python decides; the end of its input ends this one.
process.on("SIGINT", () => {});

speakWithPython(Number(process.argv[3]), Number(process.argv[4]));
forgetWhereTokensAreCreated();
const packs = new Map(); // name of the assembly -> its pack
loadOnDemand();
require(process.argv[2]);

/** Lets the program's channel, which is file descriptor 3 in both directions, be two pipes. */
function speakWithPython(input, output) {
  const { readSync, writeSync } = fs;
  fs.readSync = (fd, ...rest) => readSync(fd === 3 ? input : fd, ...rest);
  fs.writeSync = (fd, ...rest) => writeSync(fd === 3 ? output : fd, ...rest);
}

/** cdktf keeps the whole stack of each token's creation: nothing but this kernel's own frames. */
function forgetWhereTokensAreCreated() {
  const { captureStackTrace } = Error;
  Error.captureStackTrace = (error, below) => {
    if (Error.stackTraceLimit !== Number.MAX_SAFE_INTEGER) captureStackTrace(error, below);
  };
}

/** Meets the places where the kernel would read an assembly whole, or look for its files. */
function loadOnDemand() {
  const parse = JSON.parse;
  JSON.parse = (text, reviver) => {
    const value = parse(text, reviver);
    if (value === null || typeof value !== "object") return value;
    if (value.api === "load" && typeof value.tarball === "string") {
      const folder = path.dirname(value.tarball);
      const pack = packs.get(value.name);
      if (pack) pack.prepare(folder, value.submodules || [], value.remade);
      else if (fs.existsSync(path.join(folder, "index"))) packs.set(value.name, new Pack(folder));
    } else if (packs.has(value.name) && typeof value.jsiiVersion === "string") {
      value.types = packs.get(value.name).types;
    } else if (value.assemblyMetadata && packs.has(value.assemblyMetadata.name)) {
      return null; // jsii's index of an assembly without types: as if there were none
    }
    return value;
  };
  // After a load, jsii indexes the types in a thread. Here is nothing to index.
  workers.Worker = class extends workers.Worker {
    constructor(file, options) {
      const folder = (options && options.workerData && options.workerData.packageDir) || "";
      for (const name of packs.keys()) {
        if (folder.endsWith(path.join("node_modules", name))) throw new Error("types on demand");
      }
      // In the Python package, the file's folder is part of its name.
      const embedded = path.join(path.dirname(file), `lib__${path.basename(file)}`);
      super(fs.existsSync(file) ? file : embedded, options);
    }
  };
  // Other libraries may require "<assembly>/lib/<submodule>".
  const load = Module._load;
  Module._load = (request, ...rest) => {
    for (const [name, pack] of packs) {
      if (pack.index && request.startsWith(`${name}/lib/`)) {
        return pack.require(request.slice(`${name}/lib/`.length));
      }
    }
    return load(request, ...rest);
  };
  process[Symbol.for("cdktf_bindings")] = (name, index) => packs.get(name).code(index);
}

/** The submodules of one assembly, each read from the folder when first needed. */
class Pack {
  constructor(folder) {
    this.open(folder);
    this.exports = {};
    this.index = undefined; // the module of lib/index.js, once it runs
    this.modules = new Map(); // path below lib/ -> module
    this.types = new Proxy({}, { get: (_, fqn) => this.type(fqn) });
  }

  open(folder) {
    this.folder = folder;
    const index = fs.readFileSync(path.join(folder, "index"), "utf8");
    this.places = JSON.parse(index.slice(index.indexOf("\n"))).submodules;
    this.read = new Map(); // name of the submodule -> its content
  }

  /** A load that is repeated names where the files are now, and what will be needed soon. */
  prepare(folder, submodules, remade) {
    try {
      if (remade) this.open(folder);
      for (const name of submodules) void this.exports[name];
    } catch {
      // It is only ahead of time: the error appears again where it is needed.
    }
  }

  /** `{types: {fqn: type}, main: path, files: {path: source}}`, or undefined if there is none. */
  submodule(name) {
    if (!this.read.has(name) && Object.hasOwn(this.places, name)) {
      const { offset, length } = this.places[name];
      const bytes = Buffer.alloc(length);
      const file = fs.openSync(path.join(this.folder, "submodules.bin"), "r");
      try {
        fs.readSync(file, bytes, 0, length, offset);
      } finally {
        fs.closeSync(file);
      }
      this.read.set(name, JSON.parse(zlib.gunzipSync(bytes).toString("utf8")));
    }
    return this.read.get(name);
  }

  /** A type by its full name, "<assembly>.<submodule>.<type>". */
  type(fqn) {
    const submodule = typeof fqn === "string" ? this.submodule(fqn.split(".")[1]) : undefined;
    return submodule && Object.hasOwn(submodule.types, fqn) ? submodule.types[fqn] : undefined;
  }

  /** What the assembly exports: its submodules by name. */
  code(index) {
    this.index = index;
    for (const name of Object.keys(this.places)) {
      const get = () => this.run(this.submodule(name).main, this.submodule(name).files);
      Object.defineProperty(this.exports, name, { enumerable: true, get });
    }
    return this.exports;
  }

  /** What a file below lib/ exports, as others require it. */
  require(request) {
    const folder = request.split("/")[0];
    const name = Object.keys(this.places).find((name) => this.places[name].folder === folder);
    const files = name ? this.submodule(name).files : {};
    return this.run(this.found(request, files), files);
  }

  /** Runs a file, by its path below lib/, as require() would have from the disk. */
  run(name, files) {
    if (this.modules.has(name)) return this.modules.get(name).exports;
    const filename = path.join(path.dirname(this.index.filename), name);
    const module = new Module(filename, this.index);
    this.modules.set(name, module);
    module.filename = filename;
    module.paths = this.index.paths;
    module.require = (request) => {
      if (!request.startsWith(".")) return this.index.require(request);
      return this.run(this.found(path.posix.join(path.posix.dirname(name), request), files), files);
    };
    module._compile(files[name], filename);
    module.loaded = true;
    return module.exports;
  }

  found(target, files) {
    const file = [target, `${target}.js`, `${target}/index.js`].find((file) => file in files);
    if (!file) throw new Error(`Cannot find module '${target}' of ${this.index.filename}`);
    return file;
  }
}
