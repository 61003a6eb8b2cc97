"""Models that older releases of XGBoost and of the image wrote, and the artifact's form by release.

The bytes were written by the releases themselves (xgboost 0.90 and 1.7.6 from the package index; base85 of zlib), which also predicted.
"""

from __future__ import annotations

import base64
import json
import pickle
import subprocess
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from containers.toolkit.serving import RequestError
from containers.xgboost import legacy, scorers
from containers.xgboost.predictor import check_width
from tests.containers.test_as_the_images import Three, send

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.containers.conftest import Job

MODELS: dict[str, tuple[str, list[Any]]] = {
    "dart1.7.6": (
        (
            "c-l+K%uAa!bEX{=0|YQ4(d<ZkdH{YXos^lESX611lb@bhT#}j00u@e4EGl85vy(^#Ah$6i@tFpJoBjg<Bf>2WX=!TqAo@QPfCPi4"
            "H|>L|g^6(+2-zDvRCi2IYja3cFSCc4_f2Du{k>(8`(gZ`9eNJwOF!Gg{Leb*{oe-mKPaA9AZ`YVJ+njif1JQqJ4Uo{x}jaaj}c9s"
            "k4C1g<?}NRUf=p1s!nNw!=cBx%${elki(&)Pxisw(eBCX;Ae3L9*$mf=h=5I34w>>xfN~p_C8K_3|Paj!5)NRX^Rh*RZ@#f;xkK9"
            "ixNvR^YdUi!%zTOI<KTCH8nmbGdHsYrof03%E(X3N=+`wEK7BP3RElQCFZ6oSt+4qLM0ugqSW;Goc!YA_=3cu#9Sq-YNg`j#GKUl"
            "g8bt6^3=@qj1r(WL#5hU0G+a!BL"
        ),
        [0.2056169956922531, 0.5504249930381775],
    ),
    "pickle0.90": (
        (
            "c-m`VnHtW*00uog73oR&`NbuA$@xX8Q+n8)K%CT~DU+vYHcqLXqS3>fmYP^nT9g`}mzbMcJS7$=#FS<*1xOf9Nkzz(R2Beb{d(9k"
            "67y1WfF^Mym1gFYWabr5>ETSOEJ;l)DoU&b8tXKdnSr7CMZ|t4hJgqCP&z3yFR`f7DkncZv$!NPnGGtOo>WqlnhJ6#BM_rIn2}*{"
            "0FXPFk@$llVE+RFQkXTQrK#D2=>Jdv5)7K&v=62hCdO?bWN-LT-7!6_%^^{}%pT^KZyI~-?=6em4>Lb#hn_?F($DrV|FaHy|F?nt"
            "4~i!ih?{|8&+O3sA1CnDju9=KZfMu<V?<NuqmgNA@%)T~*SCI$s#BWwAo)(?GJBrILJo(HKG_EggLY3|2S1B5_AqyO&7Ei8xg-Q0"
            "j^|di+1vX#*&(}qO6!y$U`db!EeU$qAlYC_4_{JhaY=k8P%yD1Ge2*NH)D?gSSSx9AD@$%n^`i&o2fKO4*<q+xKI"
        ),
        [0.2056169956922531, 0.5504249930381775],
    ),
    "multi1.7.6": (
        (
            "c$`bh%u8cnV6bNb63jr%$N&K#njK2R#Aprppmc6&PD!R!aei7!K~a7Z8&otssiY`1m5q+>AqRlm#)`ye8YqV#f&V}Nau?Js4QXj@"
            "_8=M*-z;!3HG7y^5CE~?1X}C^>T5t23yof9$B3qGPswCkzn()5k1hBd4d)fwfy4~D6zq=`&T)vonQo78N4>+WnUecq{6ZOb2N|D<"
            "aCwWq$M$`PO2PUEdpLr^<?I<Aa5y4|MJlV)J`jx@wkF2Kp#0T<9%f7osNuM`M0nqg``7J2;b=DR<35<Zt5&UY&|I$w4ma-0#`YF{"
            "$qqfYMB(zt;RfSRIP?`P&j@u33=Fn#WI#%f$YIg$X1@=n7AE#OaED#QYd%NhbOr*TbXJfmzaL?Ky~E6zGr{R<u%{yiEcp>BZK3!-"
            "eStDYe)O5&j*%Z(ZkXC${ZZkt-~+ECf0YL~oGL20>?faD<?wrsK0LogX(l-^M03EyZ5DHkLmg)lTwYT9vwcLT_>j(ztUCHc<;Mh("
            "E{yy*dn(hu0OrGX3y(25YK2{b=Qo~{GaOic34+7zg)_f>R!5}6()PQ1Ve&Dd&+NY_roq!^#qKlqOiOMK>HK(YvJOUmTo%}2H_v{n"
            "!@hoANAcHoaQ{}b_c*j);D@IxMu~oh{YJ^~bcJLWoDB;TSQ{WIwYVfcvm~`Bu_QA;4_4zF3Ls18ff@wyIhnbcB`^g>oKQx7QdVkm"
            "NoHB98_ZEkd5O8HN>)m!tqUa`B@i<=u_7KUk(`rQTpVAJSd^HnWCheyni~%m0%|l?s;vb8<kWD5"
        ),
        [
            [0.567143976688385, 0.21586300432682037, 0.21699200570583344],
            [0.21284900605678558, 0.22788700461387634, 0.5592640042304993],
        ],
    ),
}
SCORE = """
import json, sys, pathlib, numpy as np
from containers.xgboost import scorers
rows = np.asarray([[0.25, np.nan], [1.5, 0.9]], np.float32)
answers = {}
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    scorer = scorers.load(path)
    answers[path.name] = [scorer.score(rows).tolist(), scorer.pickled, scorer.objective]
print(json.dumps(answers))
"""


@pytest.mark.slow
def test_models_of_older_releases_are_loaded_and_predict_the_same(job: Job, python: Callable[[str], Path]) -> None:
    for name, (text, _) in MODELS.items():
        (job.base / "models" / name).mkdir(parents=True)
        (job.base / "models" / name / "xgboost-model").write_bytes(zlib.decompress(base64.b85decode(text)))
    done = subprocess.run(
        [python("xgboost"), "-P", "-c", SCORE, job.base / "models"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout.splitlines()[-1])
    for name, (_, expected) in MODELS.items():
        np.testing.assert_allclose(answers[name][0], expected, atol=1e-5)
        assert answers[name][1] == name.startswith("pickle")


def test_what_is_no_old_model_is_told_apart() -> None:
    body = zlib.decompress(base64.b85decode(next(iter(MODELS.values()))[0]))
    assert legacy.is_legacy(body)
    for other in (b"", b"binf", b"{L" + b"x" * 300, b"\x80\x04" + bytes(300), body[:100], bytes(4096)):
        assert not legacy.is_legacy(other)
    with pytest.raises(ValueError, match="no booster"):
        legacy.pickled(pickle.dumps(legacy._State()))


@pytest.mark.slow
@pytest.mark.parametrize(("tag", "first"), [("1.2-2", b"\x80\x04"), ("1.7-1", b"{L")])
def test_the_artifact_is_a_pickle_up_to_1_2_2(tag: str, first: bytes, job: Job, python: Callable[[str], Path]) -> None:
    job.environment["LOCALMAKER_IMAGE_TAG"] = tag
    job.write({"num_round": "1"}, {"train": {"a.csv": b"0,1,2\n1,3,4\n0,1,1\n"}}, "text/csv")
    done = job.train(python("xgboost"), "xgboost")
    assert done.returncode == 0, done.stderr
    assert (job.base / "model" / "xgboost-model").read_bytes().startswith(first)


@pytest.mark.parametrize(
    ("kind", "columns", "sentence"),
    [
        ("text/csv", 3, ""), ("text/csv", 2, ""), ("text/csv", 1, "of csv inference data 1 is not consistent with feature size of"),
        ("text/csv", 4, "is not consistent"), ("text/libsvm", 1, ""), ("text/libsvm", 5, "data 5 is larger than feature size"),
        ("application/x-recordio-protobuf", 5, "Feature size of recordio-protobuf inference data 5"),
    ],
)  # fmt: skip
def test_a_pickled_model_counts_the_columns(kind: str, columns: int, sentence: str) -> None:
    if not sentence:
        check_width(kind, columns, 3)
        return
    with pytest.raises(RequestError, match=sentence) as caught:
        check_width(kind, columns, 3)
    assert caught.value.status == 400


def test_only_a_pickled_model_refuses_too_few_columns() -> None:
    scorer = Three()
    assert send(b"1", scorer=scorer).status == 200
    scorer.pickled = True
    with pytest.raises(RequestError, match="is not consistent"):
        send(b"1", scorer=scorer)


@pytest.mark.parametrize(
    ("tag", "variable", "names"),
    [
        ("1.7-1", None, ["xgboost-model", "a", "b.json"]), ("1.2-2", "true", ["xgboost-model", "a", "b.json"]),
        ("1.7-1", "false", ["xgboost-model"]), ("1.2-1", None, ["xgboost-model"]),
    ],
)  # fmt: skip
def test_the_files_of_a_folder_are_an_ensemble_since_1_2_2(
    tag: str, variable: str | None, names: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCALMAKER_IMAGE_TAG", tag)
    if variable:
        monkeypatch.setenv("SAGEMAKER_INFERENCE_ENSEMBLE", variable)
    for name in ("a", "xgboost-model", "b.json", ".DS_Store", "model.onnx"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "code").mkdir()
    assert [path.name for path in scorers.native_paths(tmp_path)] == names


@pytest.mark.parametrize(("objective", "expected"), [("reg:squarederror", [4 / 3, 8 / 3]), ("multi:softmax", [1, 2])])
def test_an_ensemble_averages_or_votes(
    objective: str, expected: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Booster:
        def __init__(self, scores: list[float]) -> None:
            self._scores = scores

        def num_features(self) -> int:
            return 2

        def save_config(self) -> str:
            learner = {
                "objective": {"name": objective},
                "learner_model_param": {},
                "gradient_booster": {"name": "gbtree"},
            }
            return json.dumps({"learner": learner})

        def inplace_predict(self, _rows: np.ndarray, *, validate_features: bool) -> list[float]:
            assert not validate_features
            return self._scores

    made = iter([Booster([1, 2]), Booster([2, 4]), Booster([1, 2])])
    monkeypatch.setattr(scorers, "load_booster", lambda _path: next(made))
    (tmp_path / "m").write_bytes(b"x")
    scorer = scorers.BoosterScorer([tmp_path / "m"] * 3)
    np.testing.assert_allclose(scorer.score(np.zeros((2, 2), np.float32)), expected)
