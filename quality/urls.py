"""Addresses of the pages about quality."""

from django.urls import path

from quality.views import (
    asking,
    browse,
    checks,
    compare,
    demo,
    disputes,
    export,
    items,
    overview,
    review,
    runs,
    ways_back,
)

app_name = "quality"
urlpatterns = [
    path("d/<slug:slug>/", overview.overview, name="overview"),
    path("d/<slug:slug>/uploads/<int:pk>/take-back/", ways_back.take_back, name="take_back"),
    path("d/<slug:slug>/checks/", checks.checks, name="checks"),
    path("d/<slug:slug>/checks/detect/", checks.detect, name="detect"),
    path("d/<slug:slug>/review/", review.review, name="review"),
    path("d/<slug:slug>/review/<slug:kind>/", review.queue, name="queue"),
    path("d/<slug:slug>/review/<slug:kind>/undo/", review.undo, name="undo"),
    path("d/<slug:slug>/review/<slug:kind>/<int:pk>/", review.flag, name="flag"),
    path("d/<slug:slug>/review/<slug:kind>/<int:pk>/decide/", review.decide, name="decide"),
    path("d/<slug:slug>/disputes/", disputes.disputes, name="disputes"),
    path("d/<slug:slug>/disputes/undo/", disputes.undo, name="dispute_undo"),
    path("d/<slug:slug>/disputes/<int:pk>/answer/", disputes.answer, name="dispute_answer"),
    path("d/<slug:slug>/disputes/<int:pk>/decide/", disputes.decide, name="dispute_decide"),
    path("d/<slug:slug>/browse/", browse.browse, name="browse"),
    path("d/<slug:slug>/browse/round/", asking.ask, name="ask"),
    path("d/<slug:slug>/browse/selection/", browse.selection, name="selection"),
    path("d/<slug:slug>/browse/undo/", browse.undo, name="selection_undo"),
    path("d/<slug:slug>/browse/counts/", browse.counts, name="browse_counts"),
    path("d/<slug:slug>/browse/histogram/", browse.histogram, name="histogram"),
    path("d/<slug:slug>/items/<int:pk>/", items.item, name="item"),
    path("d/<slug:slug>/items/<int:pk>/files/", items.item_in_files, name="item_in_files"),
    path("d/<slug:slug>/demo/", demo.planted, name="demo"),
    path("d/<slug:slug>/runs/", runs.runs, name="runs"),
    path("d/<slug:slug>/runs/train/", runs.train, name="train"),
    path("d/<slug:slug>/runs/<int:number>/", runs.run, name="run"),
    path("d/<slug:slug>/runs/<int:number>/live/", runs.run_live, name="run_live"),
    path("d/<slug:slug>/runs/<int:number>/cell/", runs.cell, name="run_cell"),
    path("d/<slug:slug>/runs/<int:number>/predictions.csv", runs.predictions, name="predictions"),
    path("d/<slug:slug>/before-after/", compare.before_after, name="before_after"),
    path("d/<slug:slug>/before-after/prove/", compare.prove, name="prove"),
    path(
        "d/<slug:slug>/before-after/<int:pk>/<str:which>/",
        compare.changed_items,
        name="changed_items",
    ),
    path("d/<slug:slug>/before-after/<int:pk>/<str:side>.csv", compare.compared, name="compared"),
    path("d/<slug:slug>/export/<str:what>.<str:form>", export.export, name="export"),
]
