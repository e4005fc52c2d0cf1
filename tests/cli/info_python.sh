# The file opens naturally in h5py.
P=${PANELFX:-./panelfx}
for py in python3 /usr/bin/python3; do "$py" -c 'import h5py' 2>/dev/null && break; py=; done
[ -n "$py" ] || { echo "SKIP: no h5py (package python3-h5py)"; exit 77; }
dir=$(mktemp -d) || exit 1
trap 'rm -rf "$dir"' EXIT
printf 'firm,year,x,prov\n000001,2017,1.5,Anhui\n000001,2018,,安徽\n000002,2017,3,\n' >"$dir/a.csv"
"$P" import "$dir/a.csv" -o "$dir/a.h5" --unit firm --time year --quiet 2>/dev/null || exit 1
"$py" - "$dir/a.h5" <<'PY'
import sys, h5py, numpy as np
with h5py.File(sys.argv[1]) as f:
    assert f.attrs["format"].decode() == "panelfx-panel" and f.attrs["unit"].decode() == "firm"
    assert f.attrs["n_rows"] == 3 and f.attrs["version"] == 1
    assert list(f["columns"]) == ["firm", "year", "x", "prov"], list(f["columns"])
    x = f["columns/x"][:]
    assert x[0] == 1.5 and np.isnan(x[1]) and x[2] == 3
    code = f["columns/prov"][:]
    label = f["categories/prov"].asstr()[:]
    prov = np.where(code < 0, "", label[np.maximum(code, 0)])
    assert list(prov) == ["Anhui", "安徽", ""], prov
    assert list(f["index/unit_start"][:]) == [0, 2, 3]
    assert f["columns/x"].fletcher32
PY
