# statsmodels: firm means taken off with pandas, year dummies explicit, OLS with clustered errors. Its factor counts the
# columns of this regression: one less than fixest's, which counts every year.
import sys
import time

try:
    import pandas as pd
    import statsmodels
    import statsmodels.api as sm
except ImportError:
    print("SKIP statsmodels: the Python package is not installed")
    sys.exit(0)

t = time.perf_counter()
d = pd.read_csv(sys.argv[1])
read_s = time.perf_counter() - t

t = time.perf_counter()
Z = pd.concat([d[["y", "x1", "x2", "x3"]], pd.get_dummies(d["year"], prefix="year", drop_first=True, dtype=float)], axis=1)
Z = Z - Z.groupby(d["firm"]).transform("mean")
m = sm.OLS(Z["y"], Z.drop(columns="y")).fit(cov_type="cluster", cov_kwds={"groups": d["firm"]})
fit_s = time.perf_counter() - t
print(f"statsmodels\t{statsmodels.__version__}\t{read_s:.3f}\t{fit_s:.3f}\t{m.params['x1']:.10f}\t{m.bse['x1']:.10f}")
