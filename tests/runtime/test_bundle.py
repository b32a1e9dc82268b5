"""Bundles that are whole open; every other one is refused with a message that names the file and the repair."""

from __future__ import annotations

import hashlib
import json
import os

import pytest
import seeded_bundle

from lvs_runtime.bundle import MAX_MANIFEST_BYTES, Bundle, plain_name
from lvs_runtime.errors import BundleError, LvsError


def test_a_whole_bundle_opens(toy_bundle):
    bundle = Bundle.open(toy_bundle)
    assert bundle.name == "toy"
    assert (bundle.audio.hop_length, bundle.image.size_px) == (238, 224)
    assert bundle.live_seconds == 1.0
    assert bundle.thresholds["box_similarity"] == 0.6
    assert bundle.part("image").precision == "fp32"
    with pytest.raises(TypeError):
        bundle.thresholds["box_similarity"] = 0.1  # type: ignore[index]


def test_bytes_are_those_that_were_hashed(toy_bundle):
    bundle = Bundle.open(toy_bundle)
    for _ in range(2):  # held, then read and checked again
        data = bundle.model_bytes("audio")
        assert hashlib.sha256(data).hexdigest() == bundle.manifest.files["audio.onnx"].sha256


def test_a_file_changed_after_opening_is_never_handed_out(own_bundle):
    bundle = Bundle.open(own_bundle)
    first = bundle.model_bytes("image")
    path = own_bundle / "image.onnx"
    path.write_bytes(b"X" + first[1:])
    with pytest.raises(BundleError, match=r"image.onnx: sha256 differs"):
        bundle.model_bytes("image")


def test_unknown_part(toy_bundle):
    with pytest.raises(BundleError, match="no part 'fused', only image, audio"):
        Bundle.open(toy_bundle).model_bytes("fused")


def replace(name, data):
    return lambda folder: (folder / name).write_bytes(data)


def symlink(name, target):
    def change(folder):
        outside = folder.parent / "outside"
        outside.write_bytes((folder / name).read_bytes())
        (folder / name).unlink()
        (folder / name).symlink_to(outside if target == "outside" else target)

    return change


def append(name):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes() + b"x")


def flip(name):
    def change(folder):
        data = bytearray((folder / name).read_bytes())
        data[-1] ^= 1
        (folder / name).write_bytes(data)

    return change


def fifo(name):
    def change(folder):
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return change


def folder_instead(name):
    def change(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return change


ON_DISK = {
    "missing file": (lambda f: (f / "audio.onnx").unlink(), r"audio.onnx is missing: named in the manifest"),
    "missing manifest": (lambda f: (f / "manifest.json").unlink(), r"manifest.json is missing: is this a bundle"),
    "truncated": (lambda f: os.truncate(f / "image.onnx", 100), r"image.onnx has 100 bytes, the manifest says \d+"),
    "longer": (append("image.onnx"), r"image.onnx has \d+ bytes, the manifest says"),
    "one bit": (flip("image.onnx"), r"image.onnx: sha256 differs.*lvs-export"),
    "symlink": (symlink("image.onnx", "outside"), r"image.onnx is a symbolic link"),
    "dangling symlink": (symlink("image.onnx", "nowhere"), r"image.onnx is a symbolic link"),
    "manifest symlink": (symlink("manifest.json", "outside"), r"manifest.json is a symbolic link"),
    "named pipe": (fifo("audio.onnx"), r"audio.onnx is not a regular file"),
    "folder": (folder_instead("audio.onnx"), r"audio.onnx"),
    "not JSON": (replace("manifest.json", b"<html>404</html>"), r"not JSON.*<html>"),
    "not UTF-8": (replace("manifest.json", b'{"schema": 1, "name": "\xff"}'), r"not JSON"),
    "empty": (replace("manifest.json", b""), r"not JSON"),
    "deep": (replace("manifest.json", b"[" * 100_000), r"not JSON"),
    "a list": (replace("manifest.json", b"[1, 2]"), r"states schema None"),
    "huge": (replace("manifest.json", b" " * (MAX_MANIFEST_BYTES + 1)), r"larger than 1000000 bytes"),
}


@pytest.mark.parametrize("case", ON_DISK)
def test_files_that_are_not_what_the_manifest_means(own_bundle, case):
    change, message = ON_DISK[case]
    change(own_bundle)
    with pytest.raises(BundleError, match=message) as caught:
        Bundle.open(own_bundle)
    assert str(own_bundle) in str(caught.value)


def rename_file(new):
    def change(manifest):
        manifest["files"][new] = manifest["files"].pop("image.onnx")
        manifest["parts"]["image"]["file"] = new

    return change


def put(value, *keys):
    def change(manifest):
        for key in keys[:-1]:
            manifest = manifest[key]
        manifest[keys[-1]] = value

    return change


IN_MANIFEST = {
    "newer schema": (put(2, "schema"), r"schema 2 is newer than this lvs knows \(1\): upgrade lvs"),
    "schema text": (put("1", "schema"), r"states schema '1'"),
    "schema true": (put(True, "schema"), r"states schema True"),
    "parent": (rename_file("../image.onnx"), r"'../image.onnx' is not a plain file name"),
    "absolute": (rename_file("/etc/passwd"), r"'/etc/passwd' is not a plain"),
    "backslash": (rename_file("..\\image.onnx"), r"not a plain"),
    "drive": (rename_file("C:image.onnx"), r"not a plain"),
    "zero byte": (rename_file("image\0.onnx"), r"not a plain"),
    "manifest itself": (rename_file("manifest.json"), r"not a plain"),
    "no files": (lambda m: m.pop("files"), r"missing required field `files`"),
    "bytes text": (put("12", "files", "image.onnx", "bytes"), r"Expected `int`, got `str`.*image.onnx|Expected `int`"),
    "too large": (put(1 << 40, "files", "image.onnx", "bytes"), r"image.onnx: the manifest claims 1099511627776 bytes"),
    "negative": (put(-1, "files", "image.onnx", "bytes"), r"claims -1 bytes"),
    "short hash": (put("abc", "files", "image.onnx", "sha256"), r"sha256 of image.onnx is not 64"),
    "wrong hash": (put("0" * 64, "files", "image.onnx", "sha256"), r"image.onnx: sha256 differs"),
    "unlisted": (put("other.onnx", "parts", "image", "file"), r"part image uses 'other.onnx'"),
    "no audio": (lambda m: m["parts"].pop("audio"), r"no part 'audio'.*have image"),
    "precision": (put("fp8", "parts", "image", "precision"), r"precision 'fp8'; known"),
    "image shape": (put([1, 3, 224, 224], "parts", "image", "input", "shape"), r"part image maps uint8 \[1, 3, 224"),
    "audio dtype": (put("float16", "parts", "audio", "input", "dtype"), r"part audio maps float16"),
    "embedding": (put([1, 128], "parts", "audio", "output", "shape"), r"want float32 \[1, 'any'\] to \[1, 512\]"),
    "short window": (put([1, 100], "parts", "audio", "input", "shape"), r"100 samples, less than a spectrogram frame"),
    "audio spec": (put(-1, "audio", "hop_length"), r"audio: AudioSpec"),
    "audio key": (put(1, "audio", "hop"), r"audio: .*unexpected keyword argument 'hop'"),
    "image spec": (put(100, "image", "size_px"), r"image: ImageSpec"),
    "live seconds": (put(0, "audio", "live_seconds"), r"audio.live_seconds is 0"),
    "threshold": (lambda m: m["thresholds"].pop("box_similarity"), r"thresholds lack box_similarity"),
    "gate": (put(-10.0, "thresholds", "audible_off_dbfs"), r"audible_off_dbfs is above"),
}


@pytest.mark.parametrize("case", IN_MANIFEST)
def test_manifests_that_are_refused(own_bundle, edit_manifest, case):
    change, message = IN_MANIFEST[case]
    edit_manifest(own_bundle, change)
    with pytest.raises(BundleError, match=message):
        Bundle.open(own_bundle)


OF_THE_FUSED_GRAPH = {
    "one input": (lambda m: m["parts"]["fused"]["inputs"].pop(), r"part fused has not two inputs"),
    "order": (lambda m: m["parts"]["fused"]["inputs"].reverse(), r"part fused maps float32 \[1, 16000\]"),
    "embedding": (
        put([1, 512, 14, 14], "parts", "fused", "output", "shape"),
        r"to \[1, 512, 14, 14\]; want .*1, 14, 14",
    ),
    "sound": (put([1, 100], "parts", "fused", "inputs", 1, "shape"), r"100 samples, less than a spectrogram frame"),
}


@pytest.mark.parametrize("case", OF_THE_FUSED_GRAPH)
def test_manifests_of_the_fused_graph_alone_that_are_refused(tmp_path, edit_manifest, case):
    folder = seeded_bundle.write_fused(tmp_path / "fused")
    assert Bundle.open(folder).live_parts == ("fused",)
    change, message = OF_THE_FUSED_GRAPH[case]
    edit_manifest(folder, change)
    with pytest.raises(BundleError, match=message):
        Bundle.open(folder)


def test_not_finite_threshold(own_bundle):
    path = own_bundle / "manifest.json"
    text = path.read_text().replace('"box_similarity": 0.6', '"box_similarity": 1e999')
    path.write_text(text)
    with pytest.raises(BundleError, match=r"not all finite|not JSON|out of range"):
        Bundle.open(own_bundle)


def test_keys_of_a_newer_writer_are_ignored(own_bundle, edit_manifest):
    edit_manifest(own_bundle, put({"x": 1}, "future"))
    assert Bundle.open(own_bundle).name == "toy"


def test_paths_that_are_no_bundle(tmp_path):
    with pytest.raises(BundleError, match="does not exist; want a folder written by lvs-export"):
        Bundle.open(tmp_path / "nothing")
    (tmp_path / "file").write_text("x")
    with pytest.raises(BundleError, match="is a file"):
        Bundle.open(tmp_path / "file")


def test_graph_with_a_forbidden_operator_is_refused_before_any_runtime(own_bundle, edit_manifest):
    import onnx
    from onnx import helper

    model = onnx.load_from_string((own_bundle / "audio.onnx").read_bytes())
    model.graph.node.insert(0, helper.make_node("ConstantOfShape", ["axes"], ["bomb"]))
    data = model.SerializeToString()
    (own_bundle / "audio.onnx").write_bytes(data)
    entry = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    edit_manifest(own_bundle, put(entry, "files", "audio.onnx"))
    with pytest.raises(BundleError, match=r"audio.onnx: operator 'ConstantOfShape' is none that lvs exports"):
        Bundle.open(own_bundle)


def test_shipped_bundle_opens_or_says_that_it_is_missing():
    from lvs_runtime.bundle import default_path

    if not default_path().is_dir():
        with pytest.raises(LvsError, match="does not exist"):
            Bundle.open()
        return
    bundle = Bundle.open()
    sizes = [entry.bytes for entry in bundle.manifest.files.values()]
    assert sum(sizes) <= 50_000_000
    assert json.loads((bundle.path / "manifest.json").read_text())["licence"]


@pytest.mark.parametrize("name", ["image.onnx", "weights.bin", "a b", "ünï.onnx"])
def test_plain_names(name):
    assert plain_name(name)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\\b", "/a", "C:a", "a\n", "a\0b", "x" * 129, "a/", "./a"])
def test_names_that_are_not_plain(name):
    assert not plain_name(name)
