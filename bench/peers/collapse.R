# collapse: firm means taken off (fwithin), year dummies explicit (its demeaning by two factors needs fixest), least squares
# (flm); clustered errors by sums of scores (fsum) with fixest's factor, since the package has none of its own.
if (!requireNamespace("collapse", quietly = TRUE)) { cat("SKIP collapse: the R package is not installed\n"); quit(status = 0) }
suppressPackageStartupMessages(library(collapse))
file <- commandArgs(TRUE)[1]
read <- system.time(d <- if (requireNamespace("data.table", quietly = TRUE)) as.data.frame(data.table::fread(file)) else read.csv(file))[["elapsed"]]
fit <- system.time({
    firm <- qF(d$firm)
    X <- fwithin(cbind(as.matrix(d[c("x1", "x2", "x3")]), model.matrix(~ factor(d$year))[, -1]), firm)
    y <- fwithin(d$y, firm)
    b <- flm(y, X)
    S <- fsum(X * drop(y - X %*% b), firm)
    A <- solve(crossprod(X))
    n <- nrow(X); G <- nrow(S); K <- ncol(X) + 1
    V <- A %*% crossprod(S) %*% A * G / (G - 1) * (n - 1) / (n - K)
})[["elapsed"]]
cat(sprintf("collapse\t%s\t%.3f\t%.3f\t%.10f\t%.10f\n", packageVersion("collapse"), read, fit, b[1], sqrt(V[1, 1])))
